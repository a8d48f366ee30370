//! Work on many things at once, results in the order of the things. What the work is, callers say.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use crate::exit::{Failure, Status};

/// Cost of what may be under way at a time; what a case costs, its caller says. Bounds memory.
const MAX_COST: usize = 8 << 20;
/// And how many cases.
const MAX_CASES: usize = 512;
/// Stack of a worker: what comes from outside may nest.
const STACK: usize = 64 << 20;

/// Hands things to threads and takes their results back in order. Threads start when there is work for them.
pub struct Pool<'scope, 'env, T, R> {
    scope: &'scope Scope<'scope, 'env>,
    work: &'env (dyn Fn(T) -> R + Sync),
    most: usize,
    threads: usize,
    todo: Sender<(usize, T)>,
    taken: Arc<Mutex<Receiver<(usize, T)>>>,
    /// `None`: the work panicked.
    done: Receiver<(usize, Option<R>)>,
    finished: Sender<(usize, Option<R>)>,
    /// Results that wait for an earlier one.
    early: BTreeMap<usize, Option<R>>,
    costs: BTreeMap<usize, usize>,
    cost: usize,
    given: usize,
    next: usize,
}

impl<'scope, 'env, T: Send + 'scope, R: Send + 'scope> Pool<'scope, 'env, T, R> {
    pub fn new(scope: &'scope Scope<'scope, 'env>, work: &'env (dyn Fn(T) -> R + Sync)) -> Self {
        let (todo, taken) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        Self {
            scope,
            work,
            most: std::thread::available_parallelism().map_or(1, usize::from),
            threads: 0,
            todo,
            taken: Arc::new(Mutex::new(taken)),
            done,
            finished,
            early: BTreeMap::new(),
            costs: BTreeMap::new(),
            cost: 0,
            given: 0,
            next: 0,
        }
    }

    /// Adds a thing. Results that are due meanwhile go to `take`.
    pub fn give(
        &mut self,
        thing: T,
        cost: usize,
        take: &mut dyn FnMut(R) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        while self.given > self.next && (self.cost + cost > MAX_COST || self.given - self.next >= MAX_CASES) {
            self.wait(take)?;
        }
        let under_way = self.given - self.next - self.early.len();
        if self.threads < self.most && under_way >= self.threads {
            self.start();
        }
        let index = self.given;
        self.given += 1;
        if self.threads == 0 {
            // No thread can be had: the work is done here.
            self.early.insert(index, Some((self.work)(thing)));
        } else {
            self.costs.insert(index, cost);
            self.cost += cost;
            // The other end is in `self`: it is there.
            let _ = self.todo.send((index, thing));
            while let Ok((index, result)) = self.done.try_recv() {
                self.early.insert(index, result);
            }
        }
        self.deliver(take)
    }

    /// Waits for everything.
    pub fn finish(mut self, take: &mut dyn FnMut(R) -> Result<(), Failure>) -> Result<(), Failure> {
        while self.next < self.given {
            self.wait(take)?;
        }
        Ok(())
    }

    fn start(&mut self) {
        let (taken, finished, work) = (Arc::clone(&self.taken), self.finished.clone(), self.work);
        let body = move || {
            loop {
                let job = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((index, thing)) = job else { return };
                let result = catch_unwind(AssertUnwindSafe(|| work(thing))).ok();
                if finished.send((index, result)).is_err() {
                    return;
                }
            }
        };
        let started = std::thread::Builder::new().stack_size(STACK).spawn_scoped(self.scope, body);
        self.threads += usize::from(started.is_ok());
    }

    fn wait(&mut self, take: &mut dyn FnMut(R) -> Result<(), Failure>) -> Result<(), Failure> {
        if !self.early.contains_key(&self.next) {
            let (index, result) =
                self.done.recv().map_err(|e| Failure::environment(format!("a thread is gone: {e}")))?;
            self.early.insert(index, result);
        }
        self.deliver(take)
    }

    fn deliver(&mut self, take: &mut dyn FnMut(R) -> Result<(), Failure>) -> Result<(), Failure> {
        while let Some(result) = self.early.remove(&self.next) {
            self.cost -= self.costs.remove(&self.next).unwrap_or(0);
            self.next += 1;
            take(result.ok_or_else(|| Failure { status: Status::Internal, message: "a panic".to_owned() })?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_keep_the_order_of_things() {
        let work = |n: u64| {
            // Earlier things take longer.
            std::thread::sleep(Duration::from_micros(200 * (40 - n)));
            n * 2
        };
        let mut got = Vec::new();
        let mut take = |n: u64| {
            got.push(n);
            Ok(())
        };
        let done = std::thread::scope(|scope| {
            let mut pool = Pool::new(scope, &work);
            for n in 0..40 {
                pool.give(n, MAX_COST / 3, &mut take)?;
            }
            pool.finish(&mut take)
        });
        assert!(done.is_ok());
        assert_eq!(got, (0..40).map(|n| n * 2).collect::<Vec<_>>());
    }

    #[test]
    fn a_failure_of_the_taker_ends_it() {
        let done = std::thread::scope(|scope| {
            let mut pool = Pool::new(scope, &|n: u32| n);
            let mut take = |n: u32| if n < 3 { Ok(()) } else { Err(Failure::input("enough")) };
            for n in 0..10 {
                pool.give(n, 1, &mut take)?;
            }
            pool.finish(&mut take)
        });
        assert_eq!(done.map_err(|f| f.message), Err("enough".to_owned()));
    }
}
