import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.OctetSequenceKey;
import com.nimbusds.jose.util.JSONObjectUtils;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Runs the shared vectors through examples/verify/java: HS256 and ES256, which Nimbus does by itself. */
public class VerifyVectors {
  public static void main(String[] arguments) throws Exception {
    Map<String, Object> vectors = JSONObjectUtils.parse(Files.readString(Path.of(arguments[0])));
    Map<String, Verify> verifiers = new LinkedHashMap<>();
    for (JWSAlgorithm alg : List.of(JWSAlgorithm.HS256, JWSAlgorithm.ES256)) {
      verifiers.put(alg.getName(), new Verify(keysOf(vectors, alg), alg, JSONObjectUtils.getString(vectors, "audience")));
    }
    Map<String, Object> assertions = new LinkedHashMap<>();
    for (Map<String, Object> vector : JSONObjectUtils.getJSONObjectArray(vectors, "assertions")) {
      if (!verifiers.containsKey((String) vector.get("alg"))) continue;
      assertions.put((String) vector.get("id"), outcomeOf(verifiers.get((String) vector.get("alg")), (String) vector.get("token")));
    }
    System.out.println(JSONObjectUtils.toJSONString(Map.of("assertions", assertions)));
  }

  private static Map<String, Object> outcomeOf(Verify verifier, String token) {
    try {
      Map<String, Object> outcome = new LinkedHashMap<>(Map.of("ok", true));
      outcome.put("data", verifier.verify(token).getClaim("data"));
      return outcome;
    } catch (Exception refused) {
      return Map.of("ok", false);
    }
  }

  private static JWKSet keysOf(Map<String, Object> vectors, JWSAlgorithm alg) throws Exception {
    if (!alg.equals(JWSAlgorithm.HS256)) return JWKSet.parse(JSONObjectUtils.getJSONObject(JSONObjectUtils.getJSONObject(vectors, "jwks"), alg.getName()));
    List<JWK> keys = new ArrayList<>();
    for (Map.Entry<String, Object> secret : JSONObjectUtils.getJSONObject(vectors, "secrets").entrySet()) {
      keys.add(new OctetSequenceKey.Builder(((String) secret.getValue()).getBytes(StandardCharsets.UTF_8)).keyID(secret.getKey()).algorithm(alg).build());
    }
    return new JWKSet(keys);
  }
}
