import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpSession;
import java.io.IOException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.descriptor.web.FilterDef;
import org.apache.tomcat.util.descriptor.web.FilterMap;

/** A small app on embedded Tomcat behind examples/adapters/java. */
public class App {
  public static void main(String[] arguments) throws Exception {
    Tomcat tomcat = new Tomcat();
    tomcat.setBaseDir(arguments[0]);
    tomcat.setHostname("127.0.0.1");
    tomcat.setPort(Integer.parseInt(System.getenv("PORT")));
    tomcat.getConnector().setProperty("address", "127.0.0.1");
    Context context = tomcat.addContext("", arguments[0]);
    context.addFilterDef(filter());
    FilterMap everywhere = new FilterMap();
    everywhere.setFilterName("sessiongate");
    everywhere.addURLPattern("/*");
    context.addFilterMap(everywhere);
    Tomcat.addServlet(context, "app", new Servlet());
    context.addServletMappingDecoded("/", "app");
    tomcat.start();
    tomcat.getServer().await();
  }

  private static FilterDef filter() {
    FilterDef filter = new FilterDef();
    filter.setFilterName("sessiongate");
    filter.setFilter(new SessiongateFilter(Map.of("a1", System.getenv("ASSERTION_SECRET")), "app"));
    return filter;
  }

  static final class Servlet extends HttpServlet {
    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
      HttpSession session = request.getSession(false);
      Map<String, Object> data = new LinkedHashMap<>();
      if (session != null) for (String name : Collections.list(session.getAttributeNames())) data.put(name, session.getAttribute(name));
      response.getWriter().print(SessiongateFilter.Json.text(data));
    }

    @Override
    @SuppressWarnings("unchecked")
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
      response.getWriter().print("ok");  // the session may still change: nothing is committed yet
      String name = request.getParameter("name");
      switch (request.getServletPath()) {
        case "/set" -> request.getSession().setAttribute(name, SessiongateFilter.Json.parse(request.getParameter("value")));
        case "/drop" -> request.getSession().removeAttribute(name);
        case "/visit" -> ((Map<String, Object>) request.getSession().getAttribute("user")).merge("visits", 1L, (a, b) -> (Long) a + (Long) b);
        case "/login" -> {
          if (request.getSession(false) != null) request.changeSessionId();
          request.getSession().setAttribute("user", Map.of("id", request.getParameter("user"), "visits", 0));
        }
        case "/restart" -> {
          request.getSession().invalidate();
          request.getSession().setAttribute("fresh", true);
        }
        case "/reset" -> {
          response.getWriter().print("never seen");
          response.reset();
          request.getSession().setAttribute("fresh", true);
          response.getWriter().print("ok");
        }
        case "/short" -> request.getSession().setMaxInactiveInterval(90);
        case "/logout" -> request.getSession().invalidate();
        default -> response.sendError(404);
      }
    }
  }
}
