//! An entry's objects as JSON: what the event says goes through, but for addresses that are to stay here.

use super::EntryOptions;
use crate::json::{self, Object, ObjectWriter};
use crate::segment::Value;

/// An object as JSON.
pub fn written_object(value: &Value<'_>, options: &EntryOptions) -> String {
    let mut out = String::new();
    write_object(&mut out, Some(value), options, &[]);
    out
}

/// Writes the context with our `source` in it. The event's own is nearly always without one, so that it is copied as it
/// came and the source put behind.
pub fn write_context(out: &mut String, context: Option<&Value<'_>>, event: &Object<'_>, options: &EntryOptions) {
    let source = &options.context_source;
    let own = event.get("context").zip(event.get_object("context"));
    match (context, own) {
        (Some(Value::Raw(raw)), Some((own, fields)))
            if std::ptr::eq(raw.get(), own.get())
                && options.forward_ip
                && !fields.is_empty()
                && fields.get("source").is_none() =>
        {
            let open = raw.get().strip_suffix('}').unwrap_or_default();
            out.push_str(open);
            out.push_str(",\"source\":");
            json::write_string(out, source);
            out.push('}');
        }
        _ => write_object(out, context, options, &[("source", source)]),
    }
}

/// Writes an object: without its `ip` when addresses stay here, and with `additions` in place of its own fields of their
/// names. When neither changes anything, bytes of the event are copied as they came.
pub fn write_object(out: &mut String, value: Option<&Value<'_>>, options: &EntryOptions, additions: &[(&str, &str)]) {
    if options.forward_ip
        && additions.is_empty()
        && let Some(value) = value
    {
        // Undefined is not an object, so that something is written.
        value.write_json(out);
        return;
    }
    let fields = match value.cloned().unwrap_or(Value::Undefined).opened() {
        Value::Object(fields) => fields,
        _ => Vec::new(),
    };
    let mut object = ObjectWriter::start(out);
    for (key, value) in &fields {
        let dropped = (key == "ip" && !options.forward_ip) || additions.iter().any(|(added, _)| key == added);
        if dropped || matches!(value, Value::Undefined) {
            continue;
        }
        if key == "traits" && !options.forward_ip && value.is_object() {
            // A context holds traits, and they may hold an address of their own.
            write_object(object.key(key), Some(value), options, &[]);
        } else {
            value.write_json(object.key(key));
        }
    }
    for (key, text) in additions {
        object.string(key, text);
    }
    object.end();
}
