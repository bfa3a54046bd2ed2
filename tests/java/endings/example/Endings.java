package example;

import com.qcloud.scf.runtime.Context;
import com.qcloud.services.scf.runtime.events.CosEvent;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;

/** A function that ends in every way there is. */
public class Endings {
    static {
        if ("init".equals(System.getenv("FAIL"))) {
            throw new IllegalStateException("cannot begin");
        }
        while ("wait".equals(System.getenv("FAIL"))) {
            LockSupport.park();
        }
    }

    private int calls;
    private final List<byte[]> kept = new ArrayList<>();

    public enum Kind { SMALL, LARGE }

    public static class Inner {
        private double part;
        private Kind kind;

        public double getPart() {
            return part;
        }

        public void setPart(double part) {
            this.part = part;
        }

        public Kind getKind() {
            return kind;
        }

        public void setKind(Kind kind) {
            this.kind = kind;
        }
    }

    public static class Event {
        private String todo;
        private String text;
        private String pids;
        private int size;
        private boolean large;
        private List<Inner> inner;
        private Map<String, Long> counts;

        public String getDo() {
            return todo;
        }

        public void setDo(String todo) {
            this.todo = todo;
        }

        public String getText() {
            return text;
        }

        public void setText(String text) {
            this.text = text;
        }

        public String getPids() {
            return pids;
        }

        public void setPids(String pids) {
            this.pids = pids;
        }

        public int getSize() {
            return size;
        }

        public void setSize(int size) {
            this.size = size;
        }

        public boolean isLarge() {
            return large;
        }

        public void setLarge(boolean large) {
            this.large = large;
        }

        public List<Inner> getInner() {
            return inner;
        }

        public void setInner(List<Inner> inner) {
            this.inner = inner;
        }

        public Map<String, Long> getCounts() {
            return counts;
        }

        public void setCounts(Map<String, Long> counts) {
            this.counts = counts;
        }
    }

    private static long start(String... command) throws Exception {
        return new ProcessBuilder(command).inheritIO().start().pid();
    }

    public Object mainHandler(Event event, Context context) throws Exception {
        calls++;
        switch (event.getDo()) {
            case "tell":
                Map<String, Object> told = new HashMap<>();
                told.put("calls", calls);
                told.put("text", event.getText());
                told.put("request_id", context.getRequestId());
                told.put("memory_limit_in_mb", context.getMemoryLimitInMb());
                told.put("time_limit_in_ms", context.getTimeLimitInMs());
                told.put("directory", System.getProperty("user.dir"));
                told.put("variables", System.getenv());
                told.put("room", new File("/tmp").getTotalSpace());
                told.put("property", System.getProperty("TENCENTCLOUD_SECRETID"));
                return told;
            case "print":
                System.out.println("to standard output");
                System.err.println("to standard error");
                return null;
            case "large":
                return String.join("", Collections.nCopies(event.getSize(), "x"));
            case "throw":
                throw new IOException("thrown on purpose");
            case "hang":
                String pids = ProcessHandle.current().pid() + " " + start("sleep", "600") + " "
                    + start("setsid", "sleep", "600");
                Files.write(Paths.get(event.getPids()), pids.getBytes());
                Thread.sleep(600_000);
                return null;
            case "memory":
                while (true) {
                    kept.add(new byte[1 << 20]);
                }
            case "exit":
                System.exit(7);
                return null;
            default:
                return event;
        }
    }

    public String text(String event) {
        return event;
    }

    public static int number(int event, Context context) {
        return event + context.getTimeLimitInMs();
    }

    public void nothing() {
        System.out.println("nothing to do");
    }

    public List<String> keys(CosEvent event) {
        List<String> keys = new ArrayList<>();
        for (CosEvent.Record record : event.getRecords()) {
            CosEvent.CosInfo cos = record.getCos();
            keys.add(cos.getCosBucket().getName() + ":" + cos.getCosObject().getKey() + ":"
                + cos.getCosObject().getSize() + ":" + record.getEvent().getEventName());
        }
        return keys;
    }
}
