//! Reading a line of JSON: most are written plainly (`plain`), and as others before them (`templates`); the JSON
//! parser reads the rest (`fields`). Never says what a field must be.

pub(crate) mod fields;
pub(crate) mod plain;
pub(crate) mod templates;
