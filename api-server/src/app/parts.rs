//! State of the domains, by type.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
};

/// State of one domain that outlives requests. `assembly.rs` makes it at the start (tests/it/parts.rs).
pub(crate) trait Part: Send + Sync + 'static {}

/// One value of each type.
#[derive(Default)]
pub struct Parts(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl Parts {
    #[must_use]
    pub(crate) fn with<P: Part>(mut self, part: P) -> Self {
        self.0.insert(TypeId::of::<P>(), Box::new(part));
        self
    }

    pub(super) fn get<P: Part>(&self) -> &P {
        let part = self.0.get(&TypeId::of::<P>());
        part.and_then(|part| part.downcast_ref())
            .unwrap_or_else(|| panic!("assembly.rs makes no {}", type_name::<P>()))
    }
}
