//! Variables that are not there are nothing, and no error.

use std::fmt;

use liquid_core::Runtime;
use liquid_core::model::{ArrayView, DisplayCow, KString, KStringCow, ScalarCow, State, Value, ValueCow, ValueView};
use liquid_core::runtime::{PartialStore, Registers};

/// A runtime in which a variable that is not there is nothing.
pub struct Lenient<R>(pub R);

impl<R: Runtime> Runtime for Lenient<R> {
    fn partials(&self) -> &dyn PartialStore {
        self.0.partials()
    }

    fn name(&self) -> Option<liquid_core::model::KStringRef<'_>> {
        self.0.name()
    }

    fn roots(&self) -> std::collections::BTreeSet<liquid_core::model::KStringCow<'_>> {
        self.0.roots()
    }

    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        let found = self.0.try_get(path).filter(|found| !found.is_nil());
        Some(found.unwrap_or(ValueCow::Borrowed(&Nothing)))
    }

    fn get(&self, path: &[ScalarCow<'_>]) -> liquid_core::Result<ValueCow<'_>> {
        self.try_get(path).ok_or_else(|| liquid_core::Error::with_msg("no variable"))
    }

    fn set_global(&self, name: KString, value: Value) -> Option<Value> {
        self.0.set_global(name, value)
    }

    fn set_index(&self, name: KString, value: Value) -> Option<Value> {
        self.0.set_index(name, value)
    }

    fn get_index<'a>(&'a self, name: &str) -> Option<ValueCow<'a>> {
        self.0.get_index(name)
    }

    fn registers(&self) -> &Registers {
        self.0.registers()
    }
}

/// What a variable is that is not there: nil, and also an array without items, so that `contains` says no of it.
#[derive(Debug, Clone, Copy)]
struct Nothing;

impl ValueView for Nothing {
    fn as_debug(&self) -> &dyn fmt::Debug {
        self
    }

    fn render(&self) -> DisplayCow<'_> {
        DisplayCow::Borrowed(&"")
    }

    fn source(&self) -> DisplayCow<'_> {
        DisplayCow::Borrowed(&"nil")
    }

    fn type_name(&self) -> &'static str {
        "nil"
    }

    fn query_state(&self, state: State) -> bool {
        state != State::Truthy
    }

    fn to_kstr(&self) -> KStringCow<'_> {
        KStringCow::from_static("")
    }

    fn to_value(&self) -> Value {
        Value::Nil
    }

    fn as_array(&self) -> Option<&dyn ArrayView> {
        Some(self)
    }

    fn is_nil(&self) -> bool {
        true
    }
}

impl ArrayView for Nothing {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        0
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(std::iter::empty())
    }

    fn contains_key(&self, _: i64) -> bool {
        false
    }

    fn get(&self, _: i64) -> Option<&dyn ValueView> {
        None
    }
}
