import jakarta.servlet.SessionTrackingMode;
import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpSession;
import java.io.IOException;
import java.util.EnumSet;
import java.util.Set;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;

/** A web application at /shop on embedded Tomcat, with HttpSession. It knows nothing of a gateway. */
public class TomcatApp {
  public static void main(String[] arguments) throws Exception {
    Tomcat tomcat = new Tomcat();
    tomcat.setBaseDir(arguments[0]);
    tomcat.setHostname("127.0.0.1");
    tomcat.setPort(Integer.parseInt(System.getenv("PORT")));
    tomcat.getConnector().setProperty("address", "127.0.0.1");
    Context context = tomcat.addContext("/shop", arguments[0]);
    // <session-config><tracking-mode>COOKIE</tracking-mode></session-config>: no id in links.
    context.addServletContainerInitializer((classes, servlets) -> servlets.setSessionTrackingModes(EnumSet.of(SessionTrackingMode.COOKIE)), Set.of());
    Tomcat.addServlet(context, "app", new Servlet());
    context.addServletMappingDecoded("/", "app");
    tomcat.start();
    tomcat.getServer().await();
  }

  static final class Servlet extends HttpServlet {
    @Override
    protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
      HttpSession session = request.getSession(false);
      String answer = switch (request.getServletPath()) {
        case "/whoami" -> session == null || session.getAttribute("user") == null ? "nobody" : (String) session.getAttribute("user");
        case "/cookies" -> names(request.getCookies());
        case "/count" -> count(request.getSession());
        case "/login" -> {
          if (!"right".equals(request.getParameter("password"))) yield "wrong";
          if (session != null) request.changeSessionId();
          request.getSession().setAttribute("user", request.getParameter("user"));
          yield "ok";
        }
        case "/logout" -> {
          if (session != null) session.invalidate();
          yield "bye";
        }
        default -> "?";
      };
      response.getWriter().print(answer);
    }

    private static String count(HttpSession session) {
      synchronized (session.getId().intern()) {
        Object before = session.getAttribute("count");
        session.setAttribute("count", before == null ? 1 : (Integer) before + 1);
        return String.valueOf(session.getAttribute("count"));
      }
    }

    private static String names(Cookie[] cookies) {
      StringBuilder names = new StringBuilder();
      if (cookies != null) for (Cookie cookie : cookies) names.append(names.length() == 0 ? "" : " ").append(cookie.getName());
      return names.toString();
    }
  }
}
