package example;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.qcloud.cos.COSClient;
import com.qcloud.cos.ClientConfig;
import com.qcloud.cos.auth.BasicSessionCredentials;
import com.qcloud.cos.region.Region;
import com.qcloud.cos.utils.IOUtils;
import com.tencentcloudapi.common.CommonClient;
import com.tencentcloudapi.common.Credential;
import java.net.HttpURLConnection;
import java.net.URL;

/** What runs on SCF, as it is: the official SDKs, the services' own host names, and the keys that are properties there. */
public class Home {
    private static final String REGION = System.getenv("TENCENTCLOUD_REGION");

    private static String key(String name) {
        return System.getProperty("TENCENTCLOUD_" + name);
    }

    private static JsonObject call(String service, String version, String action, JsonObject asked) throws Exception {
        Credential keys = new Credential(key("SECRETID"), key("SECRETKEY"), key("SESSIONTOKEN"));
        CommonClient client = new CommonClient(service, version, keys, REGION);
        String answer = client.call(action, asked.toString());
        return new JsonParser().parse(answer).getAsJsonObject().getAsJsonObject("Response");
    }

    public String mainHandler(String event) throws Exception {
        JsonObject cos = new JsonParser().parse(event).getAsJsonObject().getAsJsonArray("Records").get(0)
            .getAsJsonObject().getAsJsonObject("cos");
        JsonObject named = cos.getAsJsonObject("cosBucket");
        String bucket = named.get("name").getAsString() + "-" + named.get("appid").getAsString();
        String key = cos.getAsJsonObject("cosObject").get("key").getAsString().split("/", 4)[3];
        COSClient client = new COSClient(
            new BasicSessionCredentials(key("SECRETID"), key("SECRETKEY"), key("SESSIONTOKEN")),
            new ClientConfig(new Region(REGION)));
        String body = IOUtils.toString(client.getObject(bucket, key).getObjectContent());

        JsonObject invoke = new JsonObject();
        invoke.addProperty("FunctionName", System.getenv("OTHER"));
        invoke.addProperty("Event", new JsonPrimitive(body).toString());
        JsonObject invoked = call("scf", "2018-04-16", "InvokeFunction", invoke).getAsJsonObject("Result");
        JsonObject caller = call("sts", "2018-08-13", "GetCallerIdentity", new JsonObject());

        JsonObject answer = new JsonObject();
        answer.addProperty("body", body.toUpperCase());
        answer.addProperty("other", new Gson().fromJson(invoked.get("RetMsg").getAsString(), String.class));
        JsonArray who = new JsonArray();
        who.add(caller.get("Type"));
        who.add(caller.get("AccountId"));
        answer.add("caller", who);
        URL url = new URL("https://" + bucket + ".cos." + REGION + ".myqcloud.com/");
        answer.addProperty("bare", ((HttpURLConnection) url.openConnection()).getResponseCode());
        client.putObject(System.getenv("TARGET"), key, answer.toString());
        client.shutdown();
        return "done";
    }
}
