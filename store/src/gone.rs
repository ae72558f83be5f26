//! What a log lets go: all of its directory, when it is deleted, or segments that it does not name any more, deleted ones and those
//! that cleaned ones replace. Their files go to the trash when a checkpoint that does not name them is on stable storage, not
//! before: until then a crash brings them back. If that checkpoint can't be written (a full disk), the next one lets them go.

use std::io;

use tautline_core::blocking;
use tautline_core::time::now_ms;

use crate::error::StoreError;
use crate::fault::Stop;
use crate::log::Log;
use crate::segment::SegmentId;

impl Log {
    /// Takes the directory of a log that is closed away. What is still on its way into it arrives first, so that it does not make
    /// it anew.
    pub(crate) async fn put_in_trash(&self) -> Result<(), StoreError> {
        // A cleaning may wait for its turn to write a checkpoint.
        self.cleaning.over().await;
        let _turn = self.checkpoint_turn().await;
        while self.state.borrow().preparing > 0 {
            self.work.wait().await;
        }
        let due_ms = now_ms() + self.config().file_delete_delay_ms;
        let (data, path) = (self.shared.data.clone(), self.dir.path.clone());
        let put = move || {
            data.trash().put(&path, due_ms).map_err(StoreError::io(&path))?;
            data.note_closed(&path);
            // The topic's own directory goes with its last partition.
            if let Some(topic) = path.parent() {
                let _ = std::fs::remove_dir(topic);
            }
            Ok(())
        };
        blocking::run(put).await
    }

    /// Puts the files of segments in the trash, which no checkpoint names, and forgets what is known of them.
    pub(crate) async fn remove_gone(&self, mut gone: Vec<SegmentId>) -> io::Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        gone.sort_unstable();
        let ids = gone.clone();
        let due_ms = now_ms() + self.state.borrow().config.file_delete_delay_ms;
        let (data, dir) = (self.shared.data.clone(), self.dir.clone());
        let faults = self.shared.options.faults.clone();
        let put = move || {
            let mut met = Ok(());
            gone.retain(|&id| {
                if met.is_ok() {
                    let paths = [dir.index(id), dir.aborted(id), dir.file(id)];
                    met = paths.iter().try_for_each(|path| data.trash().put(path, due_ms));
                }
                if met.is_ok() {
                    met = faults.as_ref().map_or(Ok(()), |faults| faults.stop(Stop::Trash));
                }
                met.is_err()
            });
            met.map_err(|error| (error, gone))
        };
        let put = blocking::run(put).await;
        let of_them = |log: u64, id: &SegmentId| log == self.number && ids.binary_search(id).is_ok();
        self.shared.indexes.remove_if(|(log, id)| of_them(*log, id));
        self.shared.aborted.remove_if(|(log, id)| of_them(*log, id));
        self.shared
            .descriptors
            .remove_if(|((log, id), _)| of_them(*log, id));
        put.map_err(|(error, left)| {
            self.state.borrow_mut().gone.extend(left);
            error
        })
    }
}
