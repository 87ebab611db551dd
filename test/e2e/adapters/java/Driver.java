import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Runs the shared vectors through examples/adapters/java; prints what it accepted and emitted as JSON. */
@SuppressWarnings("unchecked")
public class Driver {
  public static void main(String[] arguments) throws Exception {
    Map<String, Object> vectors = (Map<String, Object>) SessiongateFilter.Json.parse(Files.readString(Path.of(arguments[0])));
    Map<String, String> secrets = (Map<String, String>) vectors.get("secrets");
    Map<String, Object> assertions = new LinkedHashMap<>();
    for (Map<String, Object> vector : (List<Map<String, Object>>) vectors.get("assertions")) {
      assertions.put((String) vector.get("id"), outcomeOf((String) vector.get("token"), secrets, (String) vectors.get("audience")));
    }
    Map<String, Object> patches = new LinkedHashMap<>();
    for (Map<String, Object> vector : (List<Map<String, Object>>) vectors.get("patches")) {
      SessiongateFilter.Changes changes = SessiongateFilter.difference(
          (Map<String, Object>) vector.get("before"), (Map<String, Object>) vector.get("after"), (Boolean) vector.get("cleared"));
      Map<String, Object> output = new LinkedHashMap<>();
      output.put("patch", changes.patch() == null ? null : SessiongateFilter.Json.text(changes.patch()));
      output.put("control", changes.control());
      patches.put((String) vector.get("id"), output);
    }
    System.out.println(SessiongateFilter.Json.text(Map.of("assertions", assertions, "patches", patches)));
  }

  private static Map<String, Object> outcomeOf(String token, Map<String, String> secrets, String audience) {
    try {
      return Map.of("ok", true, "data", SessiongateFilter.verifyHs256(token, secrets, audience).get("data"));
    } catch (SessiongateFilter.Refused refused) {
      return Map.of("ok", false);
    }
  }
}
