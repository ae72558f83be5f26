//! What is mounted where, as `/proc/self/mountinfo` tells it.

use std::path::Path;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Major and minor number of its device, "259:1".
    pub device: String,
    /// Where it is.
    pub point: String,
    /// Its options, and those of its filesystem.
    pub options: Vec<String>,
    pub filesystem: String,
    /// What is mounted.
    pub source: String,
}

/// The mount that a path is on: of those that contain it, the innermost, and of several there the last.
pub(super) fn of(mountinfo: &str, path: &Path) -> Option<Mount> {
    let mounts = mountinfo.lines().filter_map(parse);
    mounts
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| Path::new(&mount.point).components().count())
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue`
fn parse(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<&str> = left.split_whitespace().collect();
    let right: Vec<&str> = right.split_whitespace().collect();
    let options = left.get(5)?.split(',').chain(right.get(2)?.split(','));
    Some(Mount {
        device: (*left.get(2)?).to_owned(),
        point: unescape(left.get(4)?),
        options: options.map(str::to_owned).collect(),
        filesystem: (*right.first()?).to_owned(),
        source: unescape(right.get(1)?),
    })
}

/// A space is written as `\040`, and so on.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|code| u8::from_str_radix(code, 8).ok());
        match code {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = r"27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
28 27 259:1 / /var/lib rw,noatime - xfs /dev/nvme0n1p1 rw,lazytime
29 27 259:2 / /with\040space rw - ext4 /dev/nvme0n1p2 rw
30 27 0:40 / /var/lib rw - tmpfs tmpfs rw
garbage";

    #[test]
    fn the_innermost_mount_counts() {
        for (path, device) in [
            ("/home/x", "254:0"),
            ("/var/lib/tautline", "0:40"),
            ("/var/library", "254:0"),
            ("/with space/x", "259:2"),
        ] {
            assert_eq!(of(MOUNTS, Path::new(path)).unwrap().device, device, "{path}");
        }
        let root = of(MOUNTS, Path::new("/")).unwrap();
        assert_eq!(
            (root.filesystem.as_str(), root.source.as_str()),
            ("ext4", "/dev/vda")
        );
        assert_eq!(root.options, ["rw", "relatime", "rw", "discard"]);
        assert_eq!(of("", Path::new("/")), None);
    }
}
