package cosette;

import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.WildcardType;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Between values of JSON and a function's own types: by setters and getters, as SCF's runtime does (scf.md 5.5). */
final class Beans {
    private Beans() {}

    /** What a parameter of this type is given. Members that a class has no setter for are left out. */
    static Object bind(Object value, Type type) throws Exception {
        if (type instanceof WildcardType) {
            return bind(value, ((WildcardType) type).getUpperBounds()[0]);
        }
        if (type instanceof GenericArrayType) {
            return array(value, ((GenericArrayType) type).getGenericComponentType());
        }
        if (type instanceof ParameterizedType) {
            ParameterizedType generic = (ParameterizedType) type;
            Type[] arguments = generic.getActualTypeArguments();
            Class<?> raw = (Class<?>) generic.getRawType();
            return raw(value, raw, arguments[0], arguments[arguments.length - 1]);
        }
        return raw(value, type instanceof Class ? (Class<?>) type : Object.class, Object.class, Object.class);
    }

    private static Object raw(Object value, Class<?> type, Type first, Type last) throws Exception {
        if (value == null) {
            return type.isPrimitive() ? Array.get(Array.newInstance(type, 1), 0) : null;
        }
        if (type == Object.class) {
            return plain(value);
        }
        if (type == String.class || type == CharSequence.class) {
            return value instanceof String ? value : text(value);
        }
        if (type == boolean.class || type == Boolean.class) {
            if (value instanceof Boolean) {
                return value;
            }
            throw misfit(value, type);
        }
        if (type == char.class || type == Character.class) {
            if (value instanceof String && ((String) value).length() == 1) {
                return ((String) value).charAt(0);
            }
            throw misfit(value, type);
        }
        if (type.isPrimitive() || Number.class.isAssignableFrom(type)) {
            return number(value, type);
        }
        if (type.isEnum()) {
            for (Object constant : type.getEnumConstants()) {
                if (((Enum<?>) constant).name().equals(value)) {
                    return constant;
                }
            }
            throw misfit(value, type);
        }
        if (type.isArray()) {
            return array(value, type.getComponentType());
        }
        if (Collection.class.isAssignableFrom(type) || type == Iterable.class) {
            return collection(value, type, last);
        }
        if (!(value instanceof Map)) {
            throw misfit(value, type);
        }
        return Map.class.isAssignableFrom(type) ? map(value, type, last) : bean((Map<?, ?>) value, type);
    }

    private static IllegalArgumentException misfit(Object value, Class<?> type) throws Exception {
        String shown = text(value);
        shown = shown.length() > 100 ? shown.substring(0, 100) + "..." : shown;
        return new IllegalArgumentException("the event's value " + shown + " does not fit " + type.getName());
    }

    private static Object number(Object value, Class<?> type) throws Exception {
        BigDecimal number;
        try {
            number = new BigDecimal(value.toString());
            if (type == double.class || type == Double.class || type == Number.class) {
                return number.doubleValue();
            }
            if (type == float.class || type == Float.class) {
                return number.floatValue();
            }
            if (type == int.class || type == Integer.class) {
                return number.intValueExact();
            }
            if (type == long.class || type == Long.class) {
                return number.longValueExact();
            }
            if (type == short.class || type == Short.class) {
                return number.shortValueExact();
            }
            if (type == byte.class || type == Byte.class) {
                return number.byteValueExact();
            }
            if (type == BigInteger.class) {
                return number.toBigIntegerExact();
            }
            if (type == BigDecimal.class) {
                return number;
            }
        } catch (ArithmeticException | NumberFormatException error) {
            throw misfit(value, type);
        }
        throw misfit(value, type);
    }

    /** For whoever takes any object. */
    private static Object plain(Object value) throws Exception {
        if (value instanceof BigDecimal) {
            return ((BigDecimal) value).doubleValue();
        }
        if (value instanceof Long && ((Long) value).intValue() == (Long) value) {
            return ((Long) value).intValue();
        }
        if (value instanceof List) {
            return collection(value, List.class, Object.class);
        }
        return value instanceof Map ? map(value, Map.class, Object.class) : value;
    }

    private static Object array(Object value, Type element) throws Exception {
        Class<?> type = element instanceof ParameterizedType
            ? (Class<?>) ((ParameterizedType) element).getRawType()
            : element instanceof Class ? (Class<?>) element : Object.class;
        if (!(value instanceof List)) {
            throw misfit(value, Array.newInstance(type, 0).getClass());
        }
        List<?> list = (List<?>) value;
        Object array = Array.newInstance(type, list.size());
        for (int i = 0; i < list.size(); i++) {
            Array.set(array, i, bind(list.get(i), element));
        }
        return array;
    }

    @SuppressWarnings("unchecked")
    private static Object collection(Object value, Class<?> type, Type element) throws Exception {
        if (!(value instanceof List)) {
            throw misfit(value, type);
        }
        Collection<Object> made;
        if (!type.isInterface()) {
            made = (Collection<Object>) make(type);
        } else {
            made = Set.class.isAssignableFrom(type) ? new LinkedHashSet<>() : new ArrayList<>();
        }
        for (Object one : (List<?>) value) {
            made.add(bind(one, element));
        }
        return made;
    }

    @SuppressWarnings("unchecked")
    private static Object map(Object value, Class<?> type, Type element) throws Exception {
        Map<String, Object> made =
            type.isInterface() ? new LinkedHashMap<>() : (Map<String, Object>) make(type);
        for (Map.Entry<?, ?> one : ((Map<?, ?>) value).entrySet()) {
            made.put((String) one.getKey(), bind(one.getValue(), element));
        }
        return made;
    }

    private static Object make(Class<?> type) throws Exception {
        try {
            Constructor<?> constructor = type.getDeclaredConstructor();
            constructor.setAccessible(true);
            return constructor.newInstance();
        } catch (NoSuchMethodException | InstantiationException error) {
            throw new IllegalArgumentException(type.getName() + " has no constructor without parameters");
        }
    }

    private static Object bean(Map<?, ?> members, Class<?> type) throws Exception {
        Object bean = make(type);
        for (Map.Entry<?, ?> member : members.entrySet()) {
            String name = (String) member.getKey();
            Method setter = null;
            for (Method method : type.getMethods()) {
                boolean named = method.getName().equalsIgnoreCase("set" + name) && !method.isBridge();
                if (named && method.getParameterTypes().length == 1
                    && (setter == null || method.getName().regionMatches(4, name, 1, name.length()))) {
                    setter = method;
                }
            }
            if (setter != null) {
                setter.setAccessible(true);
                try {
                    setter.invoke(bean, bind(member.getValue(), setter.getGenericParameterTypes()[0]));
                } catch (InvocationTargetException error) {
                    throw error.getCause() instanceof Exception ? (Exception) error.getCause() : error;
                }
                continue;
            }
            for (Field field : type.getFields()) {
                int modifiers = field.getModifiers();
                if (field.getName().equals(name) && !Modifier.isStatic(modifiers) && !Modifier.isFinal(modifiers)) {
                    field.setAccessible(true);
                    field.set(bean, bind(member.getValue(), field.getGenericType()));
                }
            }
        }
        return bean;
    }

    /** The JSON of what a function has returned. */
    static String text(Object value) throws Exception {
        StringBuilder to = new StringBuilder();
        write(to, value, 0);
        return to.toString();
    }

    private static void write(StringBuilder to, Object value, int depth) throws Exception {
        if (depth > Json.DEPTH_MAX) {
            throw new IllegalArgumentException(
                "the result is nested more than " + Json.DEPTH_MAX + " levels: does it hold itself?");
        }
        if (value == null || value instanceof Boolean) {
            to.append(value);
        } else if (value instanceof Number) {
            double number = ((Number) value).doubleValue();
            boolean finite = !Double.isNaN(number) && !Double.isInfinite(number) || value instanceof BigDecimal
                || value instanceof BigInteger;
            to.append(finite ? value.toString() : "null");
        } else if (value instanceof CharSequence || value instanceof Character) {
            Json.quote(to, value.toString());
        } else if (value instanceof Enum) {
            Json.quote(to, ((Enum<?>) value).name());
        } else if (value instanceof Date) {
            to.append(((Date) value).getTime());
        } else if (value instanceof Map) {
            String before = "{";
            for (Map.Entry<?, ?> one : ((Map<?, ?>) value).entrySet()) {
                to.append(before);
                Json.quote(to, String.valueOf(one.getKey()));
                to.append(':');
                write(to, one.getValue(), depth + 1);
                before = ",";
            }
            to.append(before.equals("{") ? "{}" : "}");
        } else if (value instanceof Iterable) {
            String before = "[";
            for (Object one : (Iterable<?>) value) {
                to.append(before);
                write(to, one, depth + 1);
                before = ",";
            }
            to.append(before.equals("[") ? "[]" : "]");
        } else if (value.getClass().isArray()) {
            List<Object> list = new ArrayList<>();
            for (int i = 0; i < Array.getLength(value); i++) {
                list.add(Array.get(value, i));
            }
            write(to, list, depth);
        } else if (value.getClass().getName().startsWith("java.")) {
            Json.quote(to, value.toString());
        } else {
            write(to, members(value), depth);
        }
    }

    private static Map<String, Object> members(Object bean) throws Exception {
        Map<String, Object> members = new TreeMap<>();
        for (Field field : bean.getClass().getFields()) {
            if (!Modifier.isStatic(field.getModifiers())) {
                field.setAccessible(true);
                members.put(field.getName(), field.get(bean));
            }
        }
        for (Method method : bean.getClass().getMethods()) {
            String name = method.getName();
            boolean is = name.startsWith("is") && method.getReturnType() == boolean.class;
            String rest = is ? name.substring(2) : name.startsWith("get") ? name.substring(3) : "";
            if (rest.isEmpty() || method.getParameterTypes().length > 0 || method.getDeclaringClass() == Object.class
                || Modifier.isStatic(method.getModifiers()) || method.getReturnType() == void.class) {
                continue;
            }
            method.setAccessible(true);
            try {
                members.put(property(bean.getClass(), rest), method.invoke(bean));
            } catch (InvocationTargetException error) {
                throw error.getCause() instanceof Exception ? (Exception) error.getCause() : error;
            }
        }
        return members;
    }

    /** As the field is written that a getter reads; else with a small first letter. */
    private static String property(Class<?> type, String name) {
        for (Class<?> at = type; at != null && at != Object.class; at = at.getSuperclass()) {
            for (Field field : at.getDeclaredFields()) {
                if (field.getName().equalsIgnoreCase(name)) {
                    return field.getName();
                }
            }
        }
        return Character.toLowerCase(name.charAt(0)) + name.substring(1);
    }
}
