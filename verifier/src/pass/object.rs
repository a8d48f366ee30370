//! The maps of the object that a program comes from: loaders make all of them, in order, before they load any program. What a kernel
//! says to each is `spec::map::check_create`; what programs may do with maps is `resolve`'s.

use crate::reject::{R, Reject};
use program::Program;
use spec::map::{CreateAttr, check_create};
use spec::{MapType, Profile};

/// That every map can be made; the first that cannot fails the object, whichever program uses it.
pub fn check_maps(prog: &Program, profile: &Profile) -> R {
    for def in prog.object_maps.iter() {
        let made = |attr: CreateAttr<'_>| check_create(&attr, profile);
        let inner = def.inner.as_deref().map_or(Ok(()), |inner| made(CreateAttr::of(inner)));
        let attr = CreateAttr::of(def);
        let outer = match MapType::from_raw(def.map_type) {
            // What becomes of these the kernel's BTF decides.
            Some(MapType::StructOps) => Ok(()),
            // Without a template loaders name a file that is none.
            Some(MapType::ArrayOfMaps | MapType::HashOfMaps) if attr.inner.is_none() => {
                made(CreateAttr { inner: Some(0), ..attr })
            }
            _ => made(attr),
        };
        if let Err(error) = inner.and(outer) {
            return Err(Reject::MapCreate {
                name: def.full_name.clone(),
                error: error.name(),
                errno: -error.negative(),
            });
        }
    }
    Ok(())
}
