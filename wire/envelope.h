// wire/envelope.h – bytes of one frame to a Message and back, as wire/protocol.capnp describes it.
// decode() walks the whole message once, typed, within bounds that grow only with the frame; what it returns
// can then be read without a kj::Exception. encode() holds the same rules, so what one side may send the
// other side can read. Threads: values; no shared state. Errors: nothing here throws outward, every
// kj::Exception becomes an Error.
#pragma once

#include <capnp/message.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "wire/protocol.capnp.h"

namespace paddock::wire {

using Frame = std::vector<std::byte>;

// A decoded frame: owns its bytes, so the reader and all texts read from it live as long as this does.
class Envelope {
 public:
  Envelope(Envelope&&) noexcept;
  Envelope& operator=(Envelope&&) noexcept;
  ~Envelope();

  Message::Reader message() const;

 private:
  struct Content;
  explicit Envelope(std::unique_ptr<Content> content);
  friend Result<Envelope> decode(std::span<const std::byte> bytes);
  std::unique_ptr<Content> content_;
};

// `auto message = begin(builder, request_id); message.initStatus()…` – a root with our version and this
// request id.
Message::Builder begin(capnp::MessageBuilder& builder, std::uint64_t request_id = 0);

// Makes `builder` a refusal: the error's code by its name, and its message.
void write_refusal(capnp::MessageBuilder& builder, std::uint64_t request_id, const Error& error);
// The Error that a refusal carries. A code this build does not know ("unimplemented") is kInvalid.
Error read_refusal(Refusal::Reader refusal);

// kInvalid: a text is not UTF-8. kExhausted: the frame would be above limits::kMessageBytesMax.
Result<Frame> encode(capnp::MessageBuilder& builder);

// kExhausted: above limits::kMessageBytesMax. kCorrupt: not a whole Message, or a text that is not UTF-8.
// Neither the version nor the kind is judged here: see is_known_version() and is_known_kind().
Result<Envelope> decode(std::span<const std::byte> bytes);

bool is_known_version(Message::Reader message);
// False for a union member that a newer peer knows and this build does not.
bool is_known_kind(Message::Reader message);

}  // namespace paddock::wire
