//! Waiting for data in any of many partitions: the purgatory of long polls.
//!
//! A [`Watcher`] is put into the [`WatchSet`] of each partition that a fetch waits for; the first that moves fires it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_channel::oneshot;
use slab::Slab;
use tautline_core::ids::ShardId;
use tautline_core::sync::Signal;
use tautline_core::task::{Queue, spawn};

use super::Broker;

/// One who waits for the first of several events.
#[derive(Default)]
pub struct Watcher {
    fired: Cell<bool>,
    signal: Signal,
}

impl Watcher {
    /// Fires, once and for all that it waits for.
    pub fn fire(&self) {
        self.fired.set(true);
        self.signal.notify_all();
    }

    /// Waits for others: it has not fired.
    pub fn reset(&self) {
        self.fired.set(false);
    }

    /// Completes when it has fired.
    pub async fn fired(&self) {
        while !self.fired.get() {
            self.signal.wait().await;
        }
    }
}

/// Those who wait for one partition.
#[derive(Default)]
pub struct WatchSet {
    watchers: RefCell<Slab<Rc<Watcher>>>,
}

impl WatchSet {
    /// Fires all; they stay until their registration is dropped.
    pub fn fire(&self) {
        for (_, watcher) in self.watchers.borrow().iter() {
            watcher.fire();
        }
    }

    /// Adds a watcher for as long as the registration lives.
    pub fn add(self: &Rc<Self>, watcher: &Rc<Watcher>) -> Registration {
        let slot = self.watchers.borrow_mut().insert(watcher.clone());
        Registration {
            set: self.clone(),
            slot,
        }
    }
}

/// A watcher's place in a set.
pub struct Registration {
    set: Rc<WatchSet>,
    slot: usize,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.set.watchers.borrow_mut().remove(self.slot);
    }
}

/// A wait on another shard; dropping it ends it there.
pub struct RemoteWatch {
    broker: Rc<Broker>,
    shard: ShardId,
    id: u64,
    fired: oneshot::Receiver<()>,
}

impl Future for RemoteWatch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.fired).poll(cx).map(|_| ())
    }
}

impl Drop for RemoteWatch {
    fn drop(&mut self) {
        let key = (self.broker.shard(), self.id);
        let end = move |broker: &Rc<Broker>| {
            if let Some(watcher) = broker.watches.borrow_mut().remove(&key) {
                watcher.fire();
            }
        };
        if self.shard == self.broker.shard() {
            end(&self.broker);
        } else {
            self.broker.mailbox.post(self.shard, Box::new(end));
        }
    }
}

impl Broker {
    /// Has a watcher registered on a shard by `register`, and completes when it fires.
    pub fn watch_on(
        self: &Rc<Self>,
        shard: ShardId,
        register: impl FnOnce(&Rc<Broker>, &Rc<Watcher>) -> Vec<Registration> + Send + 'static,
    ) -> RemoteWatch {
        let id = self.next_watch.get();
        self.next_watch.set(id + 1);
        let (sender, fired) = oneshot::channel();
        let home = self.shard();
        let begin = move |broker: &Rc<Broker>| {
            let watcher = Rc::new(Watcher::default());
            let registrations = register(broker, &watcher);
            broker.watches.borrow_mut().insert((home, id), watcher.clone());
            let broker = broker.clone();
            spawn(Queue::Produce, async move {
                watcher.fired().await;
                drop(registrations);
                broker.watches.borrow_mut().remove(&(home, id));
                // Nobody listens any more when the wait was ended from there.
                let tell = move || {
                    let _ = sender.send(());
                };
                if home == broker.shard() {
                    tell();
                } else {
                    broker.mailbox.post(home, Box::new(move |_| tell()));
                }
            });
        };
        if shard == home {
            begin(self);
        } else {
            self.mailbox.post(shard, Box::new(begin));
        }
        RemoteWatch {
            broker: self.clone(),
            shard,
            id,
            fired,
        }
    }
}
