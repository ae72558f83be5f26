package dev.tautline.tools;

/** Kafka's own command-line tools, as its project publishes them, against the broker at BOOTSTRAP. */
public final class Main {
    private Main() {
    }

    public static void main(String[] args) {
        Tool.install();
        Run run = new Run("kafka-tools");
        new TopicTools(run).checks();
        new ClusterTools(run).checks();
        new ConsoleTools(run).checks();
        new GroupTools(run).checks();
        new TransactionTools(run).checks();
        Runtime.getRuntime().halt(run.finish());
    }
}
