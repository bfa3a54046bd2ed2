// The Tencent Cloud Java SDK's common client: a function from its creation to its end. Prints `done` last.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.tencentcloudapi.common.CommonClient;
import com.tencentcloudapi.common.Credential;
import com.tencentcloudapi.common.exception.TencentCloudSDKException;
import com.tencentcloudapi.common.profile.ClientProfile;
import com.tencentcloudapi.common.profile.HttpProfile;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

public class CloudApi {
    static final ObjectMapper JSON = new ObjectMapper();
    static CommonClient client;
    static String name;

    public static void main(String[] arguments) throws Exception {
        JsonNode argument = JSON.readTree(arguments[0]);
        name = argument.get("name").asText();
        String region = argument.get("region").asText();
        HttpProfile http = new HttpProfile();
        http.setProtocol(HttpProfile.REQ_HTTP);
        http.setEndpoint(argument.get("host").asText());
        ClientProfile profile = new ClientProfile();
        profile.setHttpProfile(http);
        Credential keys = new Credential(argument.get("id").asText(), argument.get("key").asText());
        client = new CommonClient("scf", "2018-04-16", keys, region, profile);

        ask("CreateFunction", Map.of(
                "Runtime", "Python3.9",
                "Handler", "index.main_handler",
                "Code", Map.of("ZipFile", argument.get("zip").asText()),
                "Timeout", 5,
                "Environment", colour("blue")));
        JsonNode got = ask("GetFunction", Map.of("ShowCode", "TRUE"));
        same(got.get("Status").asText(), "Active");
        same(got.get("Timeout").asInt(), 5);
        holds(got.get("CodeInfo").asText(), "def main_handler");
        same(ask("ListFunctions", Map.of("SearchKey", name)).get("TotalCount").asInt(), 1);

        JsonNode ran = invoke("{\"a\": \"ü\"}");
        same(ran.get("InvokeResult").asInt(), 0);
        same(answer(ran), "first blue");
        same(JSON.readTree(ran.get("RetMsg").asText()).get("event").get("a").asText(), "ü");
        holds(ran.get("Log").asText(), "the first code ran");
        JsonNode failed = invoke("{\"fail\": true}");
        same(failed.get("InvokeResult").asInt(), 1);
        same(JSON.readTree(failed.get("RetMsg").asText()).get("statusCode").asInt(), 430);

        ask("UpdateFunctionConfiguration", Map.of("MemorySize", 256, "Environment", colour("red")));
        ask("UpdateFunctionCode", Map.of("ZipFile", argument.get("other").asText()));
        same(answer(invoke("{}")), "second red");

        Map<String, Object> trigger = Map.of(
                "Type", "cos",
                "TriggerName", argument.get("bucket").asText() + ".cos." + region + ".myqcloud.com",
                "TriggerDesc", "{\"event\":\"cos:ObjectCreated:*\",\"filter\":{\"Prefix\":\"in/\",\"Suffix\":\".txt\"}}",
                "Qualifier", "$DEFAULT");
        ask("CreateTrigger", trigger);
        same(ask("ListTriggers", Map.of()).get("TotalCount").asInt(), 1);
        ask("DeleteTrigger", trigger);
        same(ask("ListTriggers", Map.of()).get("TotalCount").asInt(), 0);

        String id = ran.get("FunctionRequestId").asText();
        JsonNode logs = ask("GetFunctionLogs", Map.of("FunctionRequestId", id));
        same(logs.get("TotalCount").asInt(), 1);
        holds(logs.get("Data").get(0).get("Log").asText(), "the first code ran");

        same(refused("Invoke", Map.of("Qualifier", "nobody")), "ResourceNotFound.Qualifier");
        ask("DeleteFunction", Map.of());
        same(refused("GetFunction", Map.of()), "ResourceNotFound.FunctionName");
        System.out.println("done");
    }

    static JsonNode ask(String action, Map<String, Object> parameters) throws Exception {
        Map<String, Object> all = new TreeMap<>(parameters);
        if (!action.equals("ListFunctions")) {
            all.put("FunctionName", name);
        }
        return JSON.readTree(client.call(action, JSON.writeValueAsString(all))).get("Response");
    }

    static JsonNode invoke(String event) throws Exception {
        return ask("Invoke", Map.of("ClientContext", event, "LogType", "Tail")).get("Result");
    }

    static String answer(JsonNode result) throws Exception {
        JsonNode answer = JSON.readTree(result.get("RetMsg").asText());
        return answer.get("code").asText() + " " + answer.get("colour").asText();
    }

    static String refused(String action, Map<String, Object> parameters) throws Exception {
        try {
            ask(action, parameters);
        } catch (TencentCloudSDKException error) {
            return error.getRequestId().isEmpty() ? "no request id" : error.getErrorCode();
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

    static void holds(String text, String part) {
        if (!text.contains(part)) {
            throw new AssertionError(part + " is not in " + text);
        }
    }
}
