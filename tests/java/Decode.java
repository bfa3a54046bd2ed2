import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.qcloud.services.scf.runtime.events.CosEvent;
import java.io.BufferedReader;
import java.io.InputStreamReader;

/** Reads an event a line into the service's own event class, and prints what that holds. */
public class Decode {
    public static void main(String[] arguments) throws Exception {
        ObjectMapper mapper = JsonMapper.builder()
            // It is older than `cosRegion` and `s3Region`.
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            // A number that is written as text is no number.
            .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
            .build();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(mapper.writeValueAsString(mapper.readValue(line, CosEvent.class)));
        }
    }
}
