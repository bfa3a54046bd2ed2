package cosette;

import java.lang.reflect.Field;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Collections;
import java.util.stream.Stream;

/**
 * Gives every name of elsewhere an address that stands for it, so that clients which resolve names themselves get as far
 * as the instance's gateway (docs/egress.md), which asks the connection for its name.
 */
final class Names {
    /** Of a network that is nobody's (RFC 2544). */
    private static final byte[] STAND_IN = {(byte) 198, 18, 0, 1};

    private Names() {}

    /** For Java 8, 9 to 17, and later; of those that have none of it names stay as they are. */
    static void install() {
        try {
            String[] fields = {"resolver", "nameService", "nameServices"};
            for (String name : fields) {
                Field field;
                try {
                    field = InetAddress.class.getDeclaredField(name);
                } catch (NoSuchFieldException error) {
                    continue;
                }
                // So that there is one.
                InetAddress.getByName("localhost");
                field.setAccessible(true);
                Object own = field.get(null);
                if (name.equals("nameServices")) {
                    Object first = ((Iterable<?>) own).iterator().next();
                    field.set(null, Collections.singletonList(around(first, "sun.net.spi.nameservice.NameService")));
                } else if (name.equals("nameService")) {
                    field.set(null, around(own, "java.net.InetAddress$NameService"));
                } else {
                    Object used = own;
                    if (used == null) {
                        Field builtin = InetAddress.class.getDeclaredField("BUILTIN_RESOLVER");
                        builtin.setAccessible(true);
                        used = builtin.get(null);
                    }
                    field.set(null, around(used, "java.net.spi.InetAddressResolver"));
                }
                return;
            }
        } catch (ReflectiveOperationException | UnknownHostException | RuntimeException error) {
            System.err.println("names of elsewhere cannot be led home: " + error);
        }
    }

    private static Object around(Object own, String type) throws ClassNotFoundException {
        Class<?> service = Class.forName(type);
        InvocationHandler handler = (proxy, method, arguments) -> {
            boolean looksUp = method.getName().equals("lookupAllHostAddr") || method.getName().equals("lookupByName");
            if (looksUp && !isHere((String) arguments[0])) {
                InetAddress address = InetAddress.getByAddress((String) arguments[0], STAND_IN);
                return method.getReturnType() == Stream.class
                    ? Stream.of(address)
                    : (Object) new InetAddress[] {address};
            }
            try {
                method.setAccessible(true);
                return method.invoke(own, arguments);
            } catch (InvocationTargetException error) {
                throw error.getCause();
            }
        };
        return Proxy.newProxyInstance(service.getClassLoader(), new Class<?>[] {service}, handler);
    }

    private static boolean isHere(String host) throws UnknownHostException {
        return host.equalsIgnoreCase("localhost") || host.equals(System.getenv("HOSTNAME"));
    }
}
