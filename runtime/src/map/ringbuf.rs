//! RINGBUF: records that a program reserves, fills and submits; a reader takes them afterwards. Nobody reads while a run goes on, so a full buffer
//! refuses records exactly as the kernel's does without a reader.

use std::cell::RefCell;

use program::MapDef;
use spec::Errno;

use super::MapResult;
use crate::memory::Block;

const HEADER: u64 = 8;
const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;
/// Largest record: UINT_MAX / 4.
const MAX_RECORD: u64 = u32::MAX as u64 / 4;

#[derive(Debug, Default)]
struct Positions {
    consumer: u64,
    producer: u64,
}

#[derive(Debug)]
pub struct RingBuf {
    /// Twice the size: a record that wraps continues behind the end, where the kernel maps the pages a second time.
    block: Block,
    size: u64,
    positions: RefCell<Positions>,
}

impl RingBuf {
    pub fn new(def: &MapDef) -> MapResult<Self> {
        let size = u64::from(def.max_entries);
        if def.key_size != 0 || def.value_size != 0 || !size.is_power_of_two() || !size.is_multiple_of(4096) {
            return Err(Errno::EINVAL);
        }
        let block = Block::zeroed(size as usize * 2).ok_or(Errno::ENOMEM)?;
        Ok(Self { block, size, positions: RefCell::default() })
    }

    fn header(&self, pos: u64) -> u32 {
        self.block.u32((pos & (self.size - 1)) as usize)
    }

    /// Address of a new record's data.
    pub fn reserve(&self, len: u64) -> Option<u64> {
        let total = len.checked_add(HEADER)?.checked_add(7)? & !7;
        if len > MAX_RECORD || total > self.size {
            return None;
        }
        let mut at = self.positions.borrow_mut();
        if at.producer + total - at.consumer > self.size - 1 {
            return None;
        }
        let off = (at.producer & (self.size - 1)) as usize;
        at.producer += total;
        self.block.write(off, &(len as u32 | BUSY).to_le_bytes());
        Some(self.block.addr() + off as u64 + HEADER)
    }

    /// Ends a reserved record; its data's address came from `reserve`.
    pub fn commit(&self, data: u64, discard: bool) {
        let Some(off) = data.checked_sub(self.block.addr() + HEADER).filter(|&o| o < self.size) else { return };
        let len = self.block.u32(off as usize) & !BUSY;
        self.block.write(off as usize, &(if discard { len | DISCARD } else { len }).to_le_bytes());
    }

    /// Size of the reserved record with this data address.
    pub fn record_len(&self, data: u64) -> Option<u64> {
        let off = data.checked_sub(self.block.addr() + HEADER).filter(|&o| o < self.size)?;
        let header = self.block.u32(off as usize);
        (header & BUSY != 0).then_some(u64::from(header & !BUSY))
    }

    /// bpf_ringbuf_output.
    pub fn output(&self, data: &[u8]) -> MapResult {
        let addr = self.reserve(data.len() as u64).ok_or(Errno::EAGAIN)?;
        self.block.write((addr - self.block.addr()) as usize, data);
        self.commit(addr, false);
        Ok(())
    }

    /// bpf_ringbuf_query: unknown questions answer 0, as in the kernel.
    pub fn query(&self, what: u64) -> u64 {
        let at = self.positions.borrow_mut();
        match what {
            0 => at.producer - at.consumer,
            1 => self.size,
            2 => at.consumer,
            3 => at.producer,
            _ => 0,
        }
    }

    /// Submitted records from the reader's position up to the first that is still being filled, and the position behind them.
    fn ready(&self, at: &Positions) -> (Vec<Vec<u8>>, u64) {
        let mut pos = at.consumer;
        let mut out = Vec::new();
        while pos < at.producer {
            let header = self.header(pos);
            if header & BUSY != 0 {
                break;
            }
            let len = u64::from(header & !DISCARD);
            let off = (pos & (self.size - 1)) + HEADER;
            if header & DISCARD == 0 {
                out.push(self.block.bytes(off as usize, len as usize).to_vec());
            }
            pos += (len + HEADER + 7) & !7;
        }
        (out, pos)
    }

    /// The reader's side: takes all records that are ready.
    pub fn consume(&self) -> Vec<Vec<u8>> {
        let mut at = self.positions.borrow_mut();
        let (out, pos) = self.ready(&at);
        at.consumer = pos;
        out
    }

    /// The same without taking them.
    pub fn records(&self) -> Vec<Vec<u8>> {
        self.ready(&self.positions.borrow_mut()).0
    }
}
