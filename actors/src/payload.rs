use std::convert::Infallible;

/// Something that travels through a queue.
pub trait Payload: Send + 'static {
    /// The approximate number of bytes it keeps alive, its heap included.
    ///
    /// Asked once, when the item is sent; the answer is what the queue's byte budget counts.
    fn bytes(&self) -> usize;
}

/// What the last stage sends: nothing.
impl Payload for Infallible {
    fn bytes(&self) -> usize {
        match *self {}
    }
}
