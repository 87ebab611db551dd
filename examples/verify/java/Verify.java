import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.util.Set;

/**
 * The check with Nimbus JOSE+JWT (com.nimbusds:nimbus-jose-jwt). Keys are a JWK set: of the secrets, or from the gateway's
 * /jwks.json. EdDSA also wants com.google.crypto.tink:tink. */
public class Verify {
  private final DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();

  public Verify(JWKSet keys, JWSAlgorithm alg, String audience) {
    processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("session+jwt")));
    processor.setJWSKeySelector(new JWSVerificationKeySelector<>(alg, new ImmutableJWKSet<>(keys)));
    DefaultJWTClaimsVerifier<SecurityContext> claims = new DefaultJWTClaimsVerifier<>(audience, null, Set.of("exp"));
    claims.setMaxClockSkew(0);
    processor.setJWTClaimsSetVerifier(claims);
  }

  /** The claims, or an exception. Critical headers Nimbus does not know are refused by it; a key must be named. */
  public JWTClaimsSet verify(String token) throws Exception {
    SignedJWT parsed = SignedJWT.parse(token);
    if (parsed.getHeader().getKeyID() == null || parsed.getHeader().getCriticalParams() != null) {
      throw new SecurityException("key or critical header");
    }
    return processor.process(parsed, null);
  }
}
