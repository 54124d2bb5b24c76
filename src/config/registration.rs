//! stub
pub struct Registration;
