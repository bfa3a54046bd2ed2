package cosette;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.lang.reflect.Type;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Runs a Java handler as SCF does (scf.md 5.5), for Java 8 and later.
 *
 * Talks to its host over the custom-runtime protocol on one connection. What it is told is in a file, which it
 * removes: a program in this language cannot take a variable out of its own environment.
 */
public final class Bootstrap {
    private static final String CONTEXT = "com.qcloud.scf.runtime.Context";

    private final Map<?, ?> boot;
    private final Socket socket;
    private final DataInputStream in;
    private final OutputStream out;
    private Object instance;
    private Method method;

    private static final class NotFound extends Exception {
        private static final long serialVersionUID = 1;

        NotFound(String message) {
            super(message);
        }
    }

    private Bootstrap(Map<?, ?> boot) throws IOException {
        this.boot = boot;
        socket = new Socket((String) boot.get("address"), ((Number) boot.get("port")).intValue());
        socket.setTcpNoDelay(true);
        in = new DataInputStream(new BufferedInputStream(socket.getInputStream()));
        out = socket.getOutputStream();
    }

    public static void main(String[] arguments) throws Exception {
        // Written at once, so that what is printed stays in order.
        System.setOut(new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8"));
        System.setErr(new PrintStream(new FileOutputStream(FileDescriptor.err), true, "UTF-8"));
        // Keys are properties in this language, not only variables.
        for (Map.Entry<String, String> variable : System.getenv().entrySet()) {
            if (variable.getKey().startsWith("TENCENTCLOUD_")) {
                System.setProperty(variable.getKey(), variable.getValue());
            }
        }
        Bootstrap own;
        try {
            Path told = Paths.get(arguments[0]);
            String text = new String(Files.readAllBytes(told), StandardCharsets.UTF_8);
            Files.delete(told);
            own = new Bootstrap((Map<?, ?>) Json.parse(text));
        } catch (IOException error) {
            System.err.println("the bootstrap cannot begin: " + error);
            Runtime.getRuntime().halt(1);
            return;
        }
        Map<?, ?> gateway = (Map<?, ?>) own.boot.get("gateway");
        if (gateway != null && Boolean.TRUE.equals(gateway.get("redirects"))) {
            Names.install();
        }
        own.load();
        own.serve();
    }

    private void load() {
        String handler = (String) boot.get("handler");
        try {
            int at = handler.indexOf("::");
            if (at <= 0 || at + 2 >= handler.length()) {
                throw new NotFound("handler " + handler + " is not of the form package.Class::method");
            }
            String className = handler.substring(0, at);
            Class<?> type;
            try {
                type = Class.forName(className);
            } catch (ClassNotFoundException error) {
                throw new NotFound("handler " + handler + ": there is no class " + className);
            }
            method = find(type, handler.substring(at + 2));
            if (method == null) {
                throw new NotFound("handler " + handler + ": " + className + " has no such method with an event"
                    + " and a " + CONTEXT + ", or less");
            }
            method.setAccessible(true);
            if (!Modifier.isStatic(method.getModifiers())) {
                Constructor<?> constructor = type.getDeclaredConstructor();
                constructor.setAccessible(true);
                instance = constructor.newInstance();
            }
        } catch (NotFound error) {
            end(437, error.getMessage(), null);
        } catch (Throwable error) {
            Throwable cause = cause(error);
            end(443, String.valueOf(cause.getMessage() == null ? cause : cause.getMessage()), stack(cause));
        }
        call("POST", "/runtime/init/ready", " ".getBytes(StandardCharsets.UTF_8), 0);
    }

    /** The method of this name with most of: an event, a context. */
    private static Method find(Class<?> type, String name) {
        Method best = null;
        for (Class<?> at = type; at != null; at = at.getSuperclass()) {
            for (Method method : at.getDeclaredMethods()) {
                Class<?>[] parameters = method.getParameterTypes();
                int count = parameters.length;
                boolean fits = method.getName().equals(name) && !method.isBridge() && !method.isSynthetic()
                    && (count < 2 || count == 2 && parameters[1].getName().equals(CONTEXT));
                if (fits && (best == null || count > best.getParameterTypes().length)) {
                    best = method;
                }
            }
        }
        return best;
    }

    private void end(int status, String message, String stack) {
        System.out.flush();
        fail("/runtime/init/error", status, message, stack);
        Runtime.getRuntime().halt(1);
    }

    private void serve() {
        long most = ((Number) boot.get("result_bytes_max")).longValue();
        while (true) {
            Map<String, String> headers = new HashMap<>();
            byte[] event = call("GET", "/runtime/invocation/next", new byte[0], 0, headers);
            byte[] result;
            try {
                Map<Object, Object> context = new HashMap<>((Map<?, ?>) boot.get("context"));
                context.put("request_id", headers.get("request_id"));
                context.put("memory_limit_in_mb", Integer.valueOf(headers.get("memory_limit_in_mb")));
                context.put("time_limit_in_ms", Integer.valueOf(headers.get("time_limit_in_ms")));
                Object value = handle(new String(event, StandardCharsets.UTF_8), context);
                result = Beans.text(value).getBytes(StandardCharsets.UTF_8);
            } catch (Throwable error) {
                Throwable cause = cause(error);
                if (cause instanceof OutOfMemoryError) {
                    // What the function holds goes first: there is no room to tell of it else.
                    instance = null;
                    String limit = headers.get("memory_limit_in_mb");
                    fail("/runtime/invocation/error", 434, "Memory limit of " + limit + " MB reached", null);
                    Runtime.getRuntime().halt(1);
                }
                fail("/runtime/invocation/error", 430, "user code exception caught", stack(cause));
                continue;
            }
            if (result.length > most) {
                fail("/runtime/invocation/error", 407, "body size is too long", null);
            } else {
                call("POST", "/runtime/invocation/response", result, 0);
            }
        }
    }

    private Object handle(String event, Map<Object, Object> context) throws Exception {
        Type[] types = method.getGenericParameterTypes();
        Object[] arguments = new Object[types.length];
        for (int i = 0; i < types.length; i++) {
            Class<?> type = method.getParameterTypes()[i];
            if (type.getName().equals(CONTEXT)) {
                arguments[i] = context(type, context);
            } else {
                // A text is the event as it came.
                arguments[i] = type == String.class ? event : Beans.bind(Json.parse(event), types[i]);
            }
        }
        return method.invoke(instance, arguments);
    }

    /** Whichever getters the package's own interface has. */
    private static Object context(Class<?> type, Map<Object, Object> context) {
        Map<String, Object> values = new HashMap<>();
        for (Map.Entry<Object, Object> one : context.entrySet()) {
            values.put(one.getKey().toString().replace("_", ""), one.getValue());
        }
        return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> {
            String name = method.getName();
            if (name.equals("toString")) {
                return context.toString();
            }
            if (name.equals("hashCode")) {
                return System.identityHashCode(proxy);
            }
            if (name.equals("equals")) {
                return proxy == arguments[0];
            }
            Object value = name.startsWith("get") ? values.get(name.substring(3).toLowerCase()) : null;
            if (value instanceof String && method.getReturnType() != String.class) {
                return Beans.bind(Json.parse((String) value), method.getGenericReturnType());
            }
            return Beans.bind(value, method.getGenericReturnType());
        });
    }

    private static Throwable cause(Throwable error) {
        boolean wrapped = error instanceof InvocationTargetException || error instanceof ExceptionInInitializerError;
        return wrapped && error.getCause() != null ? error.getCause() : error;
    }

    /** As Java prints it, without our frames and those of reflection. */
    private static String stack(Throwable error) {
        StringWriter whole = new StringWriter();
        error.printStackTrace(new PrintWriter(whole));
        StringBuilder shown = new StringBuilder();
        for (String line : whole.toString().split("\n")) {
            if (!line.matches("\\s+at (cosette\\.|(java\\.base/)?(jdk\\.internal|sun|java\\.lang)\\.reflect\\.).*")) {
                shown.append(line).append('\n');
            }
        }
        return shown.toString();
    }

    private void fail(String path, int status, String message, String stack) {
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("errorCode", -1);
        document.put("errorMessage", message);
        if (stack != null) {
            document.put("stackTrace", stack);
        }
        try {
            call("POST", path, Beans.text(document).getBytes(StandardCharsets.UTF_8), status);
        } catch (Exception error) {
            Runtime.getRuntime().halt(1);
        }
    }

    private byte[] call(String method, String path, byte[] body, int status) {
        return call(method, path, body, status, new HashMap<>());
    }

    /** Ends the process when the host has gone. */
    private byte[] call(String method, String path, byte[] body, int status, Map<String, String> headers) {
        try {
            String head = method + " " + path + " HTTP/1.1\r\nhost: " + boot.get("address") + ":" + boot.get("port")
                + "\r\nx-cosette-secret: " + boot.get("secret") + "\r\ncontent-length: " + body.length
                + (status == 0 ? "" : "\r\nx-cosette-status: " + status) + "\r\n\r\n";
            byte[] bytes = head.getBytes(StandardCharsets.US_ASCII);
            byte[] whole = new byte[bytes.length + body.length];
            System.arraycopy(bytes, 0, whole, 0, bytes.length);
            System.arraycopy(body, 0, whole, bytes.length, body.length);
            out.write(whole);
            out.flush();
            line();
            for (String line = line(); !line.isEmpty(); line = line()) {
                int colon = line.indexOf(':');
                headers.put(line.substring(0, colon).toLowerCase(), line.substring(colon + 1).trim());
            }
            byte[] answer = new byte[Integer.parseInt(headers.getOrDefault("content-length", "0"))];
            in.readFully(answer);
            return answer;
        } catch (IOException error) {
            Runtime.getRuntime().halt(1);
            return new byte[0];
        }
    }

    private String line() throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c = in.read(); c != '\n'; c = in.read()) {
            if (c < 0) {
                throw new IOException("the host has gone");
            }
            line.append((char) c);
        }
        return line.toString().trim();
    }
}
