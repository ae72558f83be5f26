package dev.tautline.tools;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Predicate;
import java.util.regex.Pattern;

import org.apache.kafka.common.utils.Exit;

/**
 * A command-line tool called by its main method in this JVM, because a JVM each would cost seconds. What the tool and the threads
 * that it starts print goes to the call's own buffer, and its exit ends the call, not the process.
 */
final class Tool {
    interface Main {
        void main(String[] args) throws Throwable;
    }

    /** What a tool left behind: its exit status, and both of its streams as one text. */
    record Output(int status, String text) {
        List<String> lines() {
            return text.lines().map(String::strip).filter(line -> !line.isEmpty()).toList();
        }

        /** The columns of the rows after the header that begins with these words, up to where the table ends. */
        List<String[]> table(String... header) {
            List<String[]> rows = lines().stream().map(line -> line.split("\\s+")).toList();
            for (int i = 0; i < rows.size(); i++) {
                if (String.join(" ", rows.get(i)).startsWith(String.join(" ", header))) {
                    int columns = rows.get(i).length;
                    return rows.subList(i + 1, rows.size()).stream().filter(row -> row.length >= columns - 1).toList();
                }
            }
            throw new IllegalStateException("no table of " + String.join(" ", header) + " in: " + text);
        }

        Output expect(String what) {
            Run.expect(text.contains(what), "no \"" + what + "\" in: " + text);
            return this;
        }

        Output expectNot(String what) {
            Run.expect(!text.contains(what), "\"" + what + "\" in: " + text);
            return this;
        }

        boolean matches(String regex) {
            return Pattern.compile(regex, Pattern.MULTILINE).matcher(text).find();
        }

        Output expectMatch(String regex) {
            Run.expect(matches(regex), "nothing like \"" + regex + "\" in: " + text);
            return this;
        }
    }

    /** Unwinds a tool from its call of exit; says nothing when a tool that catches everything prints it. */
    private static final class Exited extends Error {
        final int status;

        Exited(int status) {
            super("", null, false, false);
            this.status = status;
        }

        @Override
        public String toString() {
            return "";
        }
    }

    private static final PrintStream STDOUT = System.out;
    private static final InheritableThreadLocal<ByteArrayOutputStream> PRINTED = new InheritableThreadLocal<>();
    private static final InheritableThreadLocal<Integer> STATUS = new InheritableThreadLocal<>();

    /** Must run before any tool's class is loaded: some remember the streams that they find. */
    static void install() {
        PrintStream divided = new PrintStream(new Divided(), true, StandardCharsets.UTF_8);
        System.setOut(divided);
        System.setErr(divided);
        Exit.setExitProcedure((status, message) -> {
            if (STATUS.get() == null) {
                STATUS.set(status);
            }
            throw new Exited(status);
        });
        Exit.setHaltProcedure((status, message) -> {
            throw new Exited(status);
        });
    }

    static Output run(Main tool, String... args) {
        return run("", tool, args);
    }

    /** Runs a tool to its end with this text on its standard input. */
    static synchronized Output run(String stdin, Main tool, String... args) {
        InputStream before = System.in;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        PRINTED.set(printed);
        STATUS.remove();
        int status = 0;
        try {
            System.setIn(new ByteArrayInputStream(stdin.getBytes(StandardCharsets.UTF_8)));
            tool.main(args);
        } catch (Exited exited) {
            status = exited.status;
        } catch (Throwable error) {
            status = 1;
            error.printStackTrace();
        } finally {
            System.setIn(before);
            PRINTED.remove();
        }
        if (STATUS.get() != null) {
            status = STATUS.get();
        }
        return new Output(status, printed.toString(StandardCharsets.UTF_8));
    }

    /** Runs a tool that must say it succeeded. */
    static Output succeed(Main tool, String... args) {
        return succeed("", tool, args);
    }

    static Output succeed(String stdin, Main tool, String... args) {
        Output output = run(stdin, tool, args);
        Run.expect(output.status == 0, String.join(" ", args) + ": exit " + output.status + ": " + output.text);
        return output.expectNot("Exception").expectNot("Error:");
    }

    /** Runs a tool in a process of its own. */
    static Output process(Class<?> tool, String... args) throws Exception {
        String[] java = {Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx256m", "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", System.getProperty("java.class.path"), tool.getName()};
        Process process = new ProcessBuilder(Run.join(java, args)).redirectErrorStream(true).start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Output(process.waitFor(), text);
    }

    /** Runs a tool until what it prints is right: what a consumer or a coordinator has done may show a moment later. */
    static Output eventually(Predicate<Output> right, Main tool, String... args) throws InterruptedException {
        long end = System.nanoTime() + Run.DEADLINE.toNanos();
        while (true) {
            Output output = run(tool, args);
            if (output.status == 0 && right.test(output)) {
                return output;
            }
            Run.expect(System.nanoTime() < end, String.join(" ", args) + ": not within " + Run.DEADLINE + ": " + output.text);
            Thread.sleep(100);
        }
    }

    /** Hands each byte to the buffer of the call that the thread belongs to. */
    private static final class Divided extends java.io.OutputStream {
        @Override
        public void write(int one) {
            write(new byte[] {(byte) one}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int count) {
            ByteArrayOutputStream printed = PRINTED.get();
            if (printed != null) {
                printed.write(bytes, offset, count);
            } else {
                STDOUT.write(bytes, offset, count);
            }
        }

        @Override
        public void flush() {
            STDOUT.flush();
        }
    }
}
