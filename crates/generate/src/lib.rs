//! Members to test bodies: plan, prompt, ask, parse.
