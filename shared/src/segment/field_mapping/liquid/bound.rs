//! What a template may write: `capture` and `append` can double a text again and again.

use std::io::{self, Write};

use liquid_core::error::ResultLiquidReplaceExt;
use liquid_core::model::{KString, Value};
use liquid_core::parser::{BlockReflection, ParseBlock, TagBlock, TagTokenIter};
use liquid_core::{Language, Renderable, Runtime, Template};

/// What a template may write, and how long any text in it may grow.
pub const MOST_BYTES: usize = 1024 * 1024;

/// A text that grows no longer than [`MOST_BYTES`].
#[derive(Default)]
pub struct Bounded(Vec<u8>);

impl Bounded {
    /// The text.
    pub fn into_text(self) -> Result<String, String> {
        String::from_utf8(self.0).map_err(|_| "the liquid template gives no text".to_owned())
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(io::Error::other("the liquid template writes too much"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `{% capture name %}…{% endcapture %}`, with a bound on what is captured.
#[derive(Debug, Clone, Copy)]
pub struct BoundedCapture;

impl BlockReflection for BoundedCapture {
    fn start_tag(&self) -> &'static str {
        "capture"
    }

    fn end_tag(&self) -> &'static str {
        "endcapture"
    }

    fn description(&self) -> &'static str {
        ""
    }
}

impl ParseBlock for BoundedCapture {
    fn parse(
        &self,
        mut arguments: TagTokenIter<'_>,
        mut tokens: TagBlock<'_, '_>,
        options: &Language,
    ) -> liquid_core::Result<Box<dyn Renderable>> {
        let name = arguments.expect_next("a name is expected")?.expect_identifier().into_result()?;
        let name = KString::from_ref(name);
        arguments.expect_nothing()?;
        let template = Template::new(tokens.parse_all(options)?);
        tokens.assert_empty();
        Ok(Box::new(Captured { name, template }))
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self
    }
}

#[derive(Debug)]
struct Captured {
    name: KString,
    template: Template,
}

impl Renderable for Captured {
    fn render_to(&self, _: &mut dyn Write, runtime: &dyn Runtime) -> liquid_core::Result<()> {
        let mut captured = Bounded::default();
        self.template.render_to(&mut captured, runtime)?;
        let text = captured.into_text().map_err(io::Error::other).replace("captured text")?;
        runtime.set_global(self.name.clone(), Value::scalar(text));
        Ok(())
    }
}
