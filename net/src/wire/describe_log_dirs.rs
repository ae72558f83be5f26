//! DescribeLogDirs (35), versions 1-4: where logs lie and how large they are. KIP-113, KIP-827 (volume sizes, 4).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for the broker's data directories.
    pub struct DescribeLogDirsRequest<'a> for DescribeLogDirs {
        /// The partitions to list; null for all.
        topics: Option<Vec<DescribableLogDirTopic<'a>>> = Some(Vec::new()), 1.., null 1..;
    }

    /// Partitions of one topic.
    pub struct DescribableLogDirTopic<'a> {
        /// Its name.
        topic: Str<'a>, 1..;
        /// Indexes of its partitions.
        partitions: Vec<i32>, 1..;
    }

    /// The directories.
    pub struct DescribeLogDirsResponse<'a> for DescribeLogDirs {
        /// How long the client is throttled.
        throttle_time_ms: i32, 1..;
        /// The error of the whole request, or 0.
        error_code: i16, 3..;
        /// The directories.
        results: Vec<DescribeLogDirsResult<'a>>, 1..;
    }

    /// One directory.
    pub struct DescribeLogDirsResult<'a> {
        /// The error code, or 0.
        error_code: i16, 1..;
        /// Its absolute path.
        log_dir: Str<'a>, 1..;
        /// What lies in it.
        topics: Vec<DescribeLogDirsTopic<'a>>, 1..;
        /// Size of the volume in bytes, or -1.
        total_bytes: i64 = -1, 4..;
        /// Free bytes of the volume, or -1.
        usable_bytes: i64 = -1, 4..;
    }

    /// Partitions of one topic in one directory.
    pub struct DescribeLogDirsTopic<'a> {
        /// Its name.
        name: Str<'a>, 1..;
        /// Its partitions.
        partitions: Vec<DescribeLogDirsPartition>, 1..;
    }

    /// One partition's log.
    pub struct DescribeLogDirsPartition {
        /// The partition's index.
        partition_index: i32, 1..;
        /// Size of its segments in bytes.
        partition_size: i64, 1..;
        /// How far its end is behind the high watermark.
        offset_lag: i64, 1..;
        /// Whether it is being moved here.
        is_future_key: bool, 1..;
    }
}
