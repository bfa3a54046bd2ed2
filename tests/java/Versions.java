// The Tencent Cloud Java SDK's common client: a namespace, and in it a function's layers, versions, aliases, instances
// that are kept ready, and URL. Prints `done` last.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.tencentcloudapi.common.CommonClient;
import com.tencentcloudapi.common.Credential;
import com.tencentcloudapi.common.exception.TencentCloudSDKException;
import com.tencentcloudapi.common.profile.ClientProfile;
import com.tencentcloudapi.common.profile.HttpProfile;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

public class Versions {
    static final ObjectMapper JSON = new ObjectMapper();
    static final HttpClient BROWSER = HttpClient.newHttpClient();
    static CommonClient client;
    static JsonNode argument;
    static String name;

    public static void main(String[] arguments) throws Exception {
        argument = JSON.readTree(arguments[0]);
        name = argument.get("name").asText();
        HttpProfile http = new HttpProfile();
        http.setProtocol(HttpProfile.REQ_HTTP);
        http.setEndpoint(argument.get("host").asText());
        ClientProfile profile = new ClientProfile();
        profile.setHttpProfile(http);
        Credential keys = new Credential(argument.get("id").asText(), argument.get("key").asText());
        client = new CommonClient("scf", "2018-04-16", keys, argument.get("region").asText(), profile);

        int layer = versions();
        aliases();
        ready();
        url();
        ask("DeleteAlias", Map.of("Name", "live"));
        ask("DeleteFunction", Map.of());
        call("DeleteLayerVersion", Map.of("LayerName", name, "LayerVersion", layer));
        call("DeleteNamespace", Map.of("Namespace", name));
        same(refused("GetFunction", Map.of()), "ResourceNotFound.Namespace");
        System.out.println("done");
    }

    static int versions() throws Exception {
        call("CreateNamespace", Map.of("Namespace", name, "Description", "of a test"));
        List<Object> search = List.of(Map.of("Key", "Namespace", "Value", name));
        same(call("ListNamespaces", Map.of("SearchKey", search)).get("TotalCount").asInt(), 1);
        int layer = call("PublishLayerVersion", Map.of(
                "LayerName", name,
                "CompatibleRuntimes", List.of("Python3.9"),
                "Content", Map.of("ZipFile", argument.get("layer").asText()))).get("LayerVersion").asInt();
        same(call("ListLayerVersions", Map.of("LayerName", name)).get("LayerVersions").size(), 1);
        ask("CreateFunction", Map.of(
                "Runtime", "Python3.9",
                "Handler", "index.main_handler",
                "Code", Map.of("ZipFile", argument.get("zip").asText()),
                "Environment", colour("blue"),
                "Layers", List.of(Map.of("LayerName", name, "LayerVersion", layer))));
        JsonNode said = says(Map.of());
        same(said.get("of").asText(), name);
        same(said.get("layer").asText(), "thick");
        same(ask("PublishVersion", Map.of()).get("FunctionVersion").asText(), "1");
        ask("UpdateFunctionConfiguration", Map.of("Environment", colour("red")));
        same(ask("PublishVersion", Map.of()).get("FunctionVersion").asText(), "2");
        same(ask("ListVersionByFunction", Map.of()).get("Versions").size(), 3);
        return layer;
    }

    static void aliases() throws Exception {
        Map<String, Object> rule = Map.of(
                "Version", "2", "Key", "invoke.headers.who", "Method", "exact", "Expression", "me");
        Map<String, Object> routing = Map.of("AddtionVersionMatchs", List.of(rule));
        ask("CreateAlias", Map.of("Name", "live", "FunctionVersion", "1", "RoutingConfig", routing));
        same(says(Map.of("Qualifier", "live")).get("colour").asText(), "blue");
        Map<String, Object> mine = Map.of("Qualifier", "live", "RoutingKey", "{\"who\":\"me\"}");
        same(says(mine).get("colour").asText(), "red");
        ask("UpdateAlias", Map.of("Name", "live", "FunctionVersion", "2"));
        same(ask("GetAlias", Map.of("Name", "live")).get("FunctionVersion").asText(), "2");
        same(says(Map.of("Qualifier", "live")).get("colour").asText(), "red");
        same(ask("ListAliases", Map.of()).get("Aliases").size(), 2);
        same(refused("DeleteFunctionVersion", Map.of("Qualifier", "2")), "UnsupportedOperation.AliasBind");
    }

    static void ready() throws Exception {
        ask("PutProvisionedConcurrencyConfig", Map.of("Qualifier", "2", "VersionProvisionedConcurrencyNum", 1));
        long until = System.currentTimeMillis() + 30_000;
        String status = "";
        while (!status.equals("Done")) {
            status = ask("GetProvisionedConcurrencyConfig", Map.of()).get("Allocated").get(0).get("Status").asText();
            same(System.currentTimeMillis() < until, true);
        }
        ask("DeleteProvisionedConcurrencyConfig", Map.of("Qualifier", "2"));
        same(ask("GetProvisionedConcurrencyConfig", Map.of()).get("Allocated").size(), 0);
    }

    static void url() throws Exception {
        Map<String, Object> trigger = Map.of("Type", "http", "TriggerName", "page", "Qualifier", "live");
        Map<String, Object> made = new TreeMap<>(trigger);
        made.put("TriggerDesc", "{\"AuthType\":\"NONE\",\"NetConfig\":{\"EnableIntranet\":false,\"EnableExtranet\":true}}");
        String description = ask("CreateTrigger", made).get("TriggerInfo").get("TriggerDesc").asText();
        String host = JSON.readTree(description).get("NetConfig").get("ExtranetUrl").asText();
        String part = host.split("[-.]")[1];
        String page = "http://" + argument.get("host").asText() + "/_cosette/url/" + part + "/";
        same(JSON.readTree(fetch(page).body()).get("colour").asText(), "red");
        Map<String, Object> closed = new TreeMap<>(trigger);
        closed.put("Enable", "CLOSE");
        ask("UpdateTriggerStatus", closed);
        same(fetch(page).statusCode(), 403);
        ask("DeleteTrigger", trigger);
        same(fetch(page).statusCode(), 404);
    }

    static HttpResponse<String> fetch(String url) throws Exception {
        return BROWSER.send(HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString());
    }

    static JsonNode call(String action, Map<String, Object> parameters) throws Exception {
        return JSON.readTree(client.call(action, JSON.writeValueAsString(parameters))).get("Response");
    }

    /** Of the function. */
    static JsonNode ask(String action, Map<String, Object> parameters) throws Exception {
        Map<String, Object> all = new TreeMap<>(parameters);
        all.put("FunctionName", name);
        all.put("Namespace", name);
        return call(action, all);
    }

    static JsonNode says(Map<String, Object> more) throws Exception {
        return JSON.readTree(ask("Invoke", more).get("Result").get("RetMsg").asText());
    }

    static String refused(String action, Map<String, Object> parameters) throws Exception {
        try {
            ask(action, parameters);
        } catch (TencentCloudSDKException error) {
            return error.getErrorCode();
        }
        return "not refused";
    }

    static Map<String, Object> colour(String value) {
        return Map.of("Variables", List.of(Map.of("Key", "COLOUR", "Value", value)));
    }

    static void same(Object got, Object want) {
        if (!got.equals(want)) {
            throw new AssertionError("got " + got + ", not " + want);
        }
    }
}
