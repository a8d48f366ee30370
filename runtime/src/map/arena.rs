//! ARENA: up to 4 GiB of pages that program and user share. Programs hold user addresses; casting one to the kernel's side gives a 32-bit offset,
//! which the engines add to `base`. Pages exist only once allocated: reading others gives 0, writing to them is lost.

use std::cell::RefCell;

use program::MapDef;
use spec::Errno;

use super::MapResult;
use crate::memory::Block;

pub const PAGE: u64 = 4096;

#[derive(Debug)]
pub struct Arena {
    block: Block,
    pages: u32,
    user_start: u64,
    allocated: RefCell<Vec<bool>>,
}

impl Arena {
    pub fn new(def: &MapDef) -> MapResult<Self> {
        const F_MMAPABLE: u32 = 1 << 10;
        if def.key_size != 0 || def.value_size != 0 || def.max_entries == 0 || def.map_flags & F_MMAPABLE == 0 {
            return Err(Errno::EINVAL);
        }
        if def.max_entries > 1 << 20 {
            return Err(Errno::E2BIG);
        }
        if !def.map_extra.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let block = Block::zeroed(def.max_entries as usize * PAGE as usize).ok_or(Errno::ENOMEM)?;
        // Without a fixed address the user's mmap picks one; any page-aligned one does.
        let user_start = if def.map_extra != 0 { def.map_extra } else { 0x7f00_0000_0000 };
        Ok(Self {
            block,
            pages: def.max_entries,
            user_start,
            allocated: RefCell::new(vec![false; def.max_entries as usize]),
        })
    }

    pub fn user_start(&self) -> u64 {
        self.user_start
    }

    /// Where the byte with this lower half of a user address lives, if its page is allocated.
    pub fn translate(&self, low: u32, len: u64) -> Option<u64> {
        let off = u64::from(low.wrapping_sub(self.user_start as u32));
        let (first, last) = (off / PAGE, (off + len.max(1) - 1) / PAGE);
        if last >= u64::from(self.pages) {
            return None;
        }
        let allocated = self.allocated.borrow_mut();
        (first..=last).all(|p| allocated[p as usize]).then(|| self.block.addr() + off)
    }

    /// bpf_arena_alloc_pages: the user address of the first page. `hint`: 0 or the wanted user address.
    pub fn allocate(&self, hint: u64, count: u32) -> Option<u64> {
        if count == 0 || count > self.pages {
            return None;
        }
        let mut allocated = self.allocated.borrow_mut();
        let free = |from: usize, a: &[bool]| a.get(from..from + count as usize).is_some_and(|r| r.iter().all(|p| !p));
        let first = if hint != 0 {
            let page = hint.checked_sub(self.user_start)? / PAGE;
            usize::try_from(page).ok().filter(|&p| hint.is_multiple_of(PAGE) && free(p, &allocated))?
        } else {
            (0..=(self.pages - count) as usize).find(|&p| free(p, &allocated))?
        };
        allocated[first..first + count as usize].fill(true);
        self.block.fill(first * PAGE as usize, count as usize * PAGE as usize, 0);
        Some(self.user_start + first as u64 * PAGE)
    }

    /// bpf_arena_free_pages. Pages that are not allocated are skipped.
    pub fn free(&self, addr: u64, count: u32) {
        let Some(first) = u64::from((addr as u32).wrapping_sub(self.user_start as u32)).checked_div(PAGE) else {
            return;
        };
        let mut allocated = self.allocated.borrow_mut();
        let end = (first + u64::from(count)).min(u64::from(self.pages));
        for page in first..end {
            allocated[page as usize] = false;
        }
    }

    /// The user's side: makes sure that a page exists (a page fault there) and writes into it.
    pub fn poke(&self, off: u64, data: &[u8]) -> MapResult {
        let end =
            off.checked_add(data.len() as u64).filter(|&e| e <= u64::from(self.pages) * PAGE).ok_or(Errno::EFAULT)?;
        for page in off / PAGE..end.div_ceil(PAGE) {
            self.allocated.borrow_mut()[page as usize] = true;
        }
        self.block.write(off as usize, data);
        Ok(())
    }

    pub fn peek(&self, off: u64, len: usize) -> Option<Vec<u8>> {
        let fits = off.checked_add(len as u64).is_some_and(|e| e <= u64::from(self.pages) * PAGE);
        fits.then(|| self.block.bytes(off as usize, len).to_vec())
    }
}
