//! Helpers and maps: which map types a helper takes, and what a call instruction remembers about its map.

use super::helper::HelperCall;
use super::id::*;
use crate::env::Verifier;
use crate::reject::{R, Reject};
use spec::MapType;
use spec::map;

impl Verifier<'_> {
    /// Remembers the map at the call instruction; writing helpers are refused for maps that programs may only read.
    pub(super) fn record_map(&mut self, call: &HelperCall) -> R {
        let recording = matches!(
            call.id(),
            TAIL_CALL
                | MAP_LOOKUP_ELEM
                | MAP_UPDATE_ELEM
                | MAP_DELETE_ELEM
                | MAP_PUSH_ELEM
                | MAP_POP_ELEM
                | MAP_PEEK_ELEM
                | FOR_EACH_MAP_ELEM
                | REDIRECT_MAP
                | MAP_LOOKUP_PERCPU_ELEM
        );
        if !recording {
            return Ok(());
        }
        let Some((map, _)) = call.map else { return Err(Reject::bug("kernel subsystem misconfigured")) };
        let writes = matches!(call.id(), MAP_UPDATE_ELEM | MAP_DELETE_ELEM | MAP_PUSH_ELEM | MAP_POP_ELEM);
        if writes && self.map(map).rdonly_prog() {
            return Err(Reject::HelperMapWrite);
        }
        let unprivileged = self.map(map).def.unprivileged;
        let aux = &mut self.aux[self.insn_idx as usize];
        aux.map_unpriv |= unprivileged;
        match aux.map {
            None => aux.map = Some(map),
            Some(m) if m != map => aux.map_poison = true,
            Some(_) => {}
        }
        Ok(())
    }

    /// Remembers the constant index of a tail call.
    pub(super) fn record_tail_call_key(&mut self, call: &HelperCall) -> R {
        if call.id() != TAIL_CALL {
            return Ok(());
        }
        let map = call.map.map(|(m, _)| self.map(m).def.clone());
        let Some(def) = map.filter(|d| MapType::from_raw(d.map_type) == Some(MapType::ProgArray)) else {
            return Err(Reject::TailCallNoProgArray);
        };
        const UNSET: i64 = -2;
        const POISONED: i64 = -1;
        let key = self.reg(3).const_value().filter(|k| *k < u64::from(def.max_entries));
        let Some(key) = key else {
            self.aux[self.insn_idx as usize].map_key = POISONED;
            return Ok(());
        };
        self.mark_precise(3)?;
        let aux = &mut self.aux[self.insn_idx as usize];
        match aux.map_key {
            UNSET => aux.map_key = key as i64,
            seen if seen != key as i64 => aux.map_key = POISONED,
            _ => {}
        }
        Ok(())
    }

    /// The map's type takes the helper, and the helper the map's type.
    pub(super) fn check_map_compatibility(&mut self, call: &HelperCall) -> R {
        let Some((map, _)) = call.map else { return Ok(()) };
        let raw = self.map(map).def.map_type;
        let Some(ty) = MapType::from_raw(raw) else {
            return Err(Reject::unsupported(format!("map type {raw}")));
        };
        let socket_map = matches!(ty, MapType::Sockmap | MapType::Sockhash);
        let fits = map::helper_accepts(ty, call.id()) && (!socket_map || self.sockmap_update_allowed(call.id()));
        if !fits {
            return Err(Reject::HelperMapType { map_type: raw, func: call.func });
        }
        if call.id() == TAIL_CALL && self.subprogs.len() > 1 && !self.profile.config.jit {
            return Err(Reject::MixedTailCalls);
        }
        Ok(())
    }

    /// Socket maps may be changed from program types that hold the right locks. Says so in the log when not; other helpers pass.
    fn sockmap_update_allowed(&mut self, helper: u32) -> bool {
        if !matches!(helper, MAP_UPDATE_ELEM | MAP_DELETE_ELEM) {
            return true;
        }
        let allowed = spec::prog::may_update_sockmap(&self.prog_context(), helper == MAP_DELETE_ELEM);
        if !allowed {
            self.note(&Reject::SockmapUpdate);
        }
        allowed
    }
}
