import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.FilterConfig;
import jakarta.servlet.ServletContext;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletOutputStream;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.WriteListener;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletRequestWrapper;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpServletResponseWrapper;
import jakarta.servlet.http.HttpSession;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.Enumeration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Servlet sessions from sessiongate. Copy this file into your application (Java 17, Servlet 6: Tomcat 10.1, Jetty 12); it
 * needs nothing else. Map it first, before every other filter:
 *
 * <pre>
 *   context.addFilter("sessiongate", new SessiongateFilter(Map.of("a1", secret), "app")).addMappingForUrlPatterns(null, false, "/*");
 *   web.xml: init-params "keyId", "secret" and "audience"
 * </pre>
 *
 * {@code request.getSession()} then works as ever, but the data lives in the gateway: it arrives in X-Session-Assertion, and what
 * differs when the response is committed leaves in X-Session-Patch; nested changes too. {@code invalidate()} ends the session,
 * {@code changeSessionId()} asks for a new id, {@code setMaxInactiveInterval()} shortens the idle lifetime. No JSESSIONID. An
 * asynchronous servlet closes its writer or stream before {@code complete()}. Attributes are what JSON can carry: String, Boolean, numbers, List
 * and Map; anything else is an IllegalArgumentException at once. A request that did not come through the gateway has no session:
 * {@code getSession(false)} is null and {@code getSession()} throws.
 */
public class SessiongateFilter implements Filter {
  private String prefix = "X-Session-";
  private Function<String, Map<String, Object>> verify;

  /** For web.xml. */
  public SessiongateFilter() {}

  /** secrets: key id to secret, as in the gateway's keys.assertion; audience: this upstream's name there. */
  public SessiongateFilter(Map<String, String> secrets, String audience) {
    this(token -> verifyHs256(token, secrets, audience));
  }

  /** For keys that are not HS256 (see examples/verify/java): token to claims, or a RuntimeException. */
  public SessiongateFilter(Function<String, Map<String, Object>> verify) {
    this.verify = verify;
  }

  @Override
  public void init(FilterConfig config) {
    if (config.getInitParameter("prefix") != null) prefix = config.getInitParameter("prefix");
    if (verify != null) return;
    Map<String, String> secrets = Map.of(config.getInitParameter("keyId"), config.getInitParameter("secret"));
    String audience = config.getInitParameter("audience");
    verify = token -> verifyHs256(token, secrets, audience);
  }

  @Override
  public void doFilter(ServletRequest plainRequest, ServletResponse plainResponse, FilterChain chain) throws IOException, ServletException {
    if (plainRequest.getAttribute(SessiongateFilter.class.getName()) != null) {  // a forward or an error page inside one request
      chain.doFilter(plainRequest, plainResponse);
      return;
    }
    plainRequest.setAttribute(SessiongateFilter.class.getName(), true);
    HttpServletRequest request = (HttpServletRequest) plainRequest;
    State state = stateOf(request);
    Response response = new Response((HttpServletResponse) plainResponse, state, prefix);
    chain.doFilter(new Request(request, state), response);
    if (!request.isAsyncStarted()) response.emit();
  }

  private State stateOf(HttpServletRequest request) {
    String token = request.getHeader(prefix + "Assertion");
    if (token == null) return null;
    try {
      return new State(verify.apply(token));
    } catch (RuntimeException problem) {
      request.getServletContext().log("session assertion refused: " + problem.getMessage());
      return null;
    }
  }

  // ---- the assertion ----

  /** The assertion is not one the gateway made for us, now. */
  public static class Refused extends RuntimeException {
    public Refused(String reason) {
      super(reason);
    }
  }

  private static final Pattern SEGMENTS = Pattern.compile("([A-Za-z0-9_-]+)\\.([A-Za-z0-9_-]+)\\.([A-Za-z0-9_-]+)");

  /** The claims of a compact JWS; throws Refused unless HS256 by one of secrets (by key id), for audience, and not expired. */
  public static Map<String, Object> verifyHs256(String token, Map<String, String> secrets, String audience) {
    Matcher part = SEGMENTS.matcher(token);
    if (!part.matches()) throw new Refused("form");
    Map<String, Object> header = jsonObject(part.group(1));
    if (!"HS256".equals(header.get("alg")) || !"session+jwt".equals(header.get("typ")) || header.containsKey("crit")) {
      throw new Refused("algorithm, type or critical header");
    }
    String secret = header.get("kid") instanceof String kid ? secrets.get(kid) : null;
    if (secret == null) throw new Refused("key");
    byte[] expected = Base64.getUrlEncoder().withoutPadding().encode(hmac(secret, part.group(1) + "." + part.group(2)));
    if (!MessageDigest.isEqual(expected, part.group(3).getBytes(StandardCharsets.US_ASCII))) throw new Refused("signature");
    return checkClaims(jsonObject(part.group(2)), audience);
  }

  /** The claims when they are for audience, not expired and carry data; else throws Refused. */
  public static Map<String, Object> checkClaims(Map<String, Object> claims, String audience) {
    if (!audience.equals(claims.get("aud"))) throw new Refused("audience");
    if (!(claims.get("exp") instanceof Number expires) || expires.doubleValue() <= System.currentTimeMillis() / 1000.0) throw new Refused("expired");
    if (!(claims.get("data") instanceof Map)) throw new Refused("data");
    return claims;
  }

  private static byte[] hmac(String secret, String input) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
      return mac.doFinal(input.getBytes(StandardCharsets.US_ASCII));
    } catch (GeneralSecurityException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  private static Map<String, Object> jsonObject(String segment) {
    try {
      if (Json.parse(new String(Base64.getUrlDecoder().decode(segment), StandardCharsets.UTF_8)) instanceof Map<?, ?> map) return object(map);
    } catch (IllegalArgumentException malformed) {
      // refused below
    }
    throw new Refused("form");
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> object(Object map) {
    return (Map<String, Object>) map;
  }

  // ---- the difference ----

  /** patch: null when there is none. */
  public record Changes(Map<String, Object> patch, List<String> control) {}

  /** What makes the gateway turn before into after; both hold plain JSON values. */
  public static Changes difference(Map<String, Object> before, Map<String, Object> after, boolean cleared) {
    if (cleared && !before.isEmpty()) {
      return after.isEmpty() ? new Changes(null, List.of("destroy")) : new Changes(after, List.of("replace"));
    }
    Map<String, Object> patch = mergePatch(before, after);
    if (patch == null) return new Changes(after, List.of("replace"));
    return new Changes(patch.isEmpty() ? null : patch, List.of());
  }

  /** Null when a merge patch (RFC 7396) cannot say it: there is no way to set a member to null. */
  private static Map<String, Object> mergePatch(Map<String, Object> before, Map<String, Object> after) {
    Map<String, Object> patch = new LinkedHashMap<>();
    for (String name : before.keySet()) if (!after.containsKey(name)) patch.put(name, null);
    for (Map.Entry<String, Object> member : after.entrySet()) {
      Object old = before.get(member.getKey());
      Object value = member.getValue();
      if (old instanceof Map && value instanceof Map) {
        Map<String, Object> nested = mergePatch(object(old), object(value));
        if (nested == null) return null;
        if (!nested.isEmpty()) patch.put(member.getKey(), nested);
      } else if (!before.containsKey(member.getKey()) || !Json.text(old).equals(Json.text(value))) {
        if (holdsNull(value)) return null;
        patch.put(member.getKey(), value);
      }
    }
    return patch;
  }

  private static boolean holdsNull(Object value) {
    return value == null || value instanceof Map && object(value).values().stream().anyMatch(SessiongateFilter::holdsNull);
  }

  // ---- one request ----

  /** What both wrappers share. */
  private static final class State {
    final Map<String, Object> claims;
    final Map<String, Object> before;
    Map<String, Object> data;
    Session session;
    boolean cleared;
    boolean rotated;
    int idleSeconds;

    State(Map<String, Object> claims) {
      this.claims = claims;
      this.before = object(claims.get("data"));
      this.data = object(Json.copy(before));
    }

    String id() {
      return claims.get("sid") instanceof String sid ? sid : "new";
    }

    Session open(boolean create, ServletContext context) {
      if (session == null && (create || !before.isEmpty() && !cleared)) session = new Session(this, context);
      return session;
    }

    Changes changes() {
      Changes changes = difference(before, object(Json.copy(data)), cleared);
      if (changes.control().contains("destroy") || before.isEmpty() && data.isEmpty()) return changes;
      List<String> control = new ArrayList<>(changes.control());
      if (rotated) control.add("rotate");
      if (idleSeconds > 0) control.add("idle=" + idleSeconds);
      return new Changes(changes.patch(), control);
    }
  }

  private static final class Request extends HttpServletRequestWrapper {
    private final State state;

    Request(HttpServletRequest request, State state) {
      super(request);
      this.state = state;
    }

    @Override
    public HttpSession getSession() {
      return getSession(true);
    }

    @Override
    public HttpSession getSession(boolean create) {
      if (state != null) return state.open(create, getServletContext());
      if (!create) return null;
      throw new IllegalStateException("no session: this request did not come through sessiongate (see its route's `session` and the keys)");
    }

    @Override
    public String changeSessionId() {
      if (getSession(false) == null) throw new IllegalStateException("no session");
      state.rotated = true;
      return state.id();
    }

    @Override
    public String getRequestedSessionId() {
      return state == null || state.before.isEmpty() ? null : state.id();
    }

    @Override
    public boolean isRequestedSessionIdValid() {
      return getRequestedSessionId() != null;
    }

    @Override
    public boolean isRequestedSessionIdFromCookie() {
      return getRequestedSessionId() != null;
    }

    @Override
    public boolean isRequestedSessionIdFromURL() {
      return false;
    }
  }

  private static final class Session implements HttpSession {
    private final State state;
    private final ServletContext context;
    private final long openedAt = System.currentTimeMillis();
    private boolean ended;

    Session(State state, ServletContext context) {
      this.state = state;
      this.context = context;
    }

    private State live() {
      if (ended) throw new IllegalStateException("session already invalidated");
      return state;
    }

    @Override
    public Object getAttribute(String name) {
      return live().data.get(name);
    }

    @Override
    public Enumeration<String> getAttributeNames() {
      return Collections.enumeration(new ArrayList<>(live().data.keySet()));
    }

    @Override
    public void setAttribute(String name, Object value) {
      if (value == null) removeAttribute(name);
      else {
        Json.text(value);  // throws at once when JSON cannot carry it
        live().data.put(name, value);
      }
    }

    @Override
    public void removeAttribute(String name) {
      live().data.remove(name);
    }

    @Override
    public void invalidate() {
      live().cleared = true;
      state.rotated = true;  // what is set in a session opened after this one gets a new id
      state.data = new LinkedHashMap<>();
      state.session = null;
      ended = true;
    }

    @Override
    public boolean isNew() {
      return live().cleared || state.before.isEmpty();
    }

    @Override
    public String getId() {
      return state.id();
    }

    /** The gateway keeps the times and the lifetimes; these are of this request. */
    @Override
    public long getCreationTime() {
      return openedAt;
    }

    @Override
    public long getLastAccessedTime() {
      return openedAt;
    }

    @Override
    public ServletContext getServletContext() {
      return context;
    }

    @Override
    public void setMaxInactiveInterval(int seconds) {
      live().idleSeconds = seconds;
    }

    @Override
    public int getMaxInactiveInterval() {
      return live().idleSeconds;
    }
  }

  /** Adds the session's headers just before the container would commit the response: by a full buffer, a flush, an error, the end. */
  private static final class Response extends HttpServletResponseWrapper {
    private final State state;
    private final String prefix;
    private boolean emitted;
    private long written;
    private ServletOutputStream stream;
    private PrintWriter writer;

    Response(HttpServletResponse response, State state, String prefix) {
      super(response);
      this.state = state;
      this.prefix = prefix;
    }

    void emit() {
      if (emitted || state == null) return;
      emitted = true;
      Changes changes = state.changes();
      if (changes.patch() != null) setHeader(prefix + "Patch", Json.text(changes.patch()));
      if (!changes.control().isEmpty()) setHeader(prefix + "Control", String.join(", ", changes.control()));
    }

    private void willWrite(int bytes) {
      written += bytes;
      if (written >= getBufferSize()) emit();
    }

    @Override
    public ServletOutputStream getOutputStream() throws IOException {
      if (stream == null) stream = new Stream(super.getOutputStream());
      return stream;
    }

    @Override
    public PrintWriter getWriter() throws IOException {
      if (writer == null) {
        setCharacterEncoding(getCharacterEncoding());
        writer = new PrintWriter(new DirectWriter(getOutputStream(), getCharacterEncoding()));
      }
      return writer;
    }

    @Override
    public void flushBuffer() throws IOException {
      emit();
      super.flushBuffer();
    }

    @Override
    public void sendError(int status) throws IOException {
      emit();
      super.sendError(status);
    }

    @Override
    public void sendError(int status, String message) throws IOException {
      emit();
      super.sendError(status, message);
    }

    @Override
    public void sendRedirect(String location) throws IOException {
      emit();
      super.sendRedirect(location);
    }

    @Override
    public void reset() {
      emitted = false;
      written = 0;
      super.reset();
    }

    @Override
    public void resetBuffer() {
      written = 0;
      super.resetBuffer();
    }

    private final class Stream extends ServletOutputStream {
      private final ServletOutputStream inner;

      Stream(ServletOutputStream inner) {
        this.inner = inner;
      }

      @Override
      public void write(int value) throws IOException {
        willWrite(1);
        inner.write(value);
      }

      @Override
      public void write(byte[] bytes, int offset, int length) throws IOException {
        willWrite(length);
        inner.write(bytes, offset, length);
      }

      @Override
      public void flush() throws IOException {
        emit();
        inner.flush();
      }

      @Override
      public void close() throws IOException {
        emit();
        inner.close();
      }

      @Override
      public boolean isReady() {
        return inner.isReady();
      }

      @Override
      public void setWriteListener(WriteListener listener) {
        inner.setWriteListener(listener);
      }
    }
  }

  /** Encodes at once: what was printed is in the container's buffer, so reset and sendError can still take it back. */
  private static final class DirectWriter extends Writer {
    private final OutputStream stream;
    private final OutputStreamWriter encoder;

    DirectWriter(OutputStream stream, String charset) throws IOException {
      this.stream = stream;
      this.encoder = new OutputStreamWriter(new FilterOutputStream(stream) {
        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
          out.write(bytes, offset, length);
        }

        @Override
        public void flush() {}  // emptying the encoder must not commit the response
      }, charset);
    }

    @Override
    public void write(char[] units, int offset, int length) throws IOException {
      encoder.write(units, offset, length);
      encoder.flush();
    }

    @Override
    public void flush() throws IOException {
      stream.flush();
    }

    @Override
    public void close() throws IOException {
      stream.close();
    }
  }

  // ---- JSON, as little as a session needs ----

  /** Objects are Map, arrays List, whole numbers Long, other numbers Double. */
  public static final class Json {
    private static final Pattern NUMBER = Pattern.compile("-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?");
    private final String text;
    private int at;

    private Json(String text) {
      this.text = text;
    }

    /** Throws IllegalArgumentException when text is not JSON. */
    public static Object parse(String text) {
      Json json = new Json(text);
      Object value = json.value(0);
      json.space();
      if (json.at < text.length()) throw json.malformed();
      return value;
    }

    static Object copy(Object value) {
      return parse(text(value));
    }

    /** Printable ASCII, as a header can carry it; members sorted, so equal values have equal texts. */
    public static String text(Object value) {
      StringBuilder out = new StringBuilder();
      write(value, out);
      return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
      if (value == null || value instanceof Boolean) out.append(value);
      else if (value instanceof Map<?, ?> map) {
        String separator = "{";
        for (Map.Entry<?, ?> member : new TreeMap<>(map).entrySet()) {
          write(String.valueOf(member.getKey()), out.append(separator));
          write(member.getValue(), out.append(':'));
          separator = ",";
        }
        out.append(map.isEmpty() ? "{}" : "}");
      } else if (value instanceof List<?> list) {
        out.append('[');
        for (int i = 0; i < list.size(); i++) write(list.get(i), i > 0 ? out.append(',') : out);
        out.append(']');
      } else if (value instanceof String string) quote(string, out);
      else if (value instanceof Number number && NUMBER.matcher(number.toString()).matches()) out.append(number);
      else throw new IllegalArgumentException("JSON cannot carry a " + value.getClass().getName() + " in the session");
    }

    private static void quote(String string, StringBuilder out) {
      out.append('"');
      for (char unit : string.toCharArray()) {
        if (unit == '"' || unit == '\\') out.append('\\').append(unit);
        else if (unit >= ' ' && unit <= '~') out.append(unit);
        else out.append(String.format("\\u%04x", (int) unit));
      }
      out.append('"');
    }

    private Object value(int depth) {
      if (depth > 64) throw malformed();
      space();
      char first = peek();
      if (first == '{') return members(depth);
      if (first == '[') return elements(depth);
      if (first == '"') return string();
      for (Object word : new Object[] {true, false}) if (take(word.toString())) return word;
      if (take("null")) return null;
      Matcher number = NUMBER.matcher(text).region(at, text.length());
      if (!number.lookingAt()) throw malformed();
      at = number.end();
      if (number.group(2) != null || number.group(3) != null) return Double.valueOf(number.group());
      return Long.valueOf(number.group());
    }

    private Map<String, Object> members(int depth) {
      Map<String, Object> map = new LinkedHashMap<>();
      at++;
      space();
      if (take("}")) return map;
      do {
        space();
        String name = string();
        space();
        if (!take(":")) throw malformed();
        map.put(name, value(depth + 1));
        space();
      } while (take(","));
      if (!take("}")) throw malformed();
      return map;
    }

    private List<Object> elements(int depth) {
      List<Object> list = new ArrayList<>();
      at++;
      space();
      if (take("]")) return list;
      do {
        list.add(value(depth + 1));
        space();
      } while (take(","));
      if (!take("]")) throw malformed();
      return list;
    }

    private String string() {
      if (!take("\"")) throw malformed();
      StringBuilder out = new StringBuilder();
      while (peek() != '"') {
        char unit = text.charAt(at++);
        if (unit < ' ') throw malformed();
        out.append(unit == '\\' ? escape() : unit);
      }
      at++;
      return out.toString();
    }

    private char escape() {
      char kind = peek();
      at++;
      int plain = "\"\\/bfnrt".indexOf(kind);
      if (plain >= 0) return "\"\\/\b\f\n\r\t".charAt(plain);
      if (kind != 'u' || at + 4 > text.length()) throw malformed();
      at += 4;
      return (char) Integer.parseInt(text.substring(at - 4, at), 16);
    }

    private char peek() {
      if (at >= text.length()) throw malformed();
      return text.charAt(at);
    }

    private boolean take(String word) {
      if (!text.startsWith(word, at)) return false;
      at += word.length();
      return true;
    }

    private void space() {
      while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
    }

    private IllegalArgumentException malformed() {
      return new IllegalArgumentException("malformed JSON at " + at);
    }
  }
}
