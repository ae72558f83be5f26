package dev.tautline.interop;

import java.util.Map;

import org.apache.kafka.common.TopicPartition;

/** Where a member says what it has processed and committed. */
interface Account {
    void processed(String member, TopicPartition at, long offset, String value);

    void committed(Map<TopicPartition, Long> positions);
}
