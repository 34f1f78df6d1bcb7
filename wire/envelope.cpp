#include "wire/envelope.h"

#include <capnp/dynamic.h>
#include <capnp/schema.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <cstring>
#include <limits>
#include <utility>

#include "base/limits.h"

namespace paddock::wire {
namespace {

// Our deepest message is Status → Graph → Job → Attempt → nodes, with a list between each two.
constexpr int kNestingMax = 32;

// Whether `text` is UTF-8 without overlong forms and surrogates (RFC 3629), so that it can go into JSON.
bool is_utf8(std::string_view text) {
  std::size_t at = 0;
  const auto continues = [&](std::size_t i) {
    return i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
  };
  while (at < text.size()) {
    const auto first = static_cast<unsigned char>(text[at]);
    if (first < 0x80) {
      at += 1;
    } else if (first >= 0xC2 && first <= 0xDF) {
      if (!continues(at + 1)) return false;
      at += 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
      if (!continues(at + 1) || !continues(at + 2)) return false;
      const auto second = static_cast<unsigned char>(text[at + 1]);
      if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0)) return false;
      at += 3;
    } else if (first >= 0xF0 && first <= 0xF4) {
      if (!continues(at + 1) || !continues(at + 2) || !continues(at + 3)) return false;
      const auto second = static_cast<unsigned char>(text[at + 1]);
      if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90)) return false;
      at += 4;
    } else {
      return false;
    }
  }
  return true;
}

bool holds_pointers(capnp::Type type) {
  return type.isText() || type.isData() || type.isList() || type.isStruct();
}

// Follows every pointer of `value` by its type, as any later reader would; a broken one throws here, in our
// try block. Returns whether all texts are UTF-8.
bool walk(capnp::DynamicValue::Reader value) {
  switch (value.getType()) {
    case capnp::DynamicValue::TEXT: {
      const auto text = value.as<capnp::Text>();
      return is_utf8(std::string_view(text.begin(), text.size()));
    }
    case capnp::DynamicValue::LIST: {
      const auto list = value.as<capnp::DynamicList>();
      if (!holds_pointers(list.getSchema().getElementType())) return true;
      for (const auto element : list) {
        if (!walk(element)) return false;
      }
      return true;
    }
    case capnp::DynamicValue::STRUCT: {
      const auto fields = value.as<capnp::DynamicStruct>();
      for (const auto field : fields.getSchema().getNonUnionFields()) {
        if (holds_pointers(field.getType()) && !walk(fields.get(field))) return false;
      }
      KJ_IF_MAYBE (chosen, fields.which()) {
        return !holds_pointers(chosen->getType()) || walk(fields.get(*chosen));
      }
      return true;  // a union member of a newer peer: nothing of ours will read it
    }
    default:
      return true;
  }
}

std::string_view text_of(const kj::Exception& exception) {
  return std::string_view(exception.getDescription().begin(), exception.getDescription().size());
}

Error not_utf8() {
  return Error{Code::kInvalid, "a text in the message is not UTF-8"};
}

Error too_large(std::size_t bytes) {
  return Error{Code::kExhausted, "the message has " + std::to_string(bytes) + " bytes, the limit is " +
                                     std::to_string(limits::kMessageBytesMax)};
}

}  // namespace

struct Envelope::Content {
  kj::Array<capnp::word> words;
  capnp::FlatArrayMessageReader reader;

  // The frame was walked within bounds before, so reading it again and again needs none.
  explicit Content(kj::Array<capnp::word> given)
      : words(kj::mv(given)),
        reader(words, capnp::ReaderOptions{std::numeric_limits<std::uint64_t>::max() / 2, kNestingMax}) {}
};

Envelope::Envelope(std::unique_ptr<Content> content) : content_(std::move(content)) {}
Envelope::Envelope(Envelope&&) noexcept = default;
Envelope& Envelope::operator=(Envelope&&) noexcept = default;
Envelope::~Envelope() = default;

Message::Reader Envelope::message() const {
  return content_->reader.getRoot<Message>();
}

Message::Builder begin(capnp::MessageBuilder& builder, std::uint64_t request_id) {
  auto message = builder.initRoot<Message>();
  message.setVersion(PROTOCOL_VERSION);
  message.setRequestId(request_id);
  return message;
}

void write_refusal(capnp::MessageBuilder& builder, std::uint64_t request_id, const Error& error) {
  auto refusal = begin(builder, request_id).initRefused();
  refusal.setCode(std::string(name_of(error.code)));
  refusal.setMessage(error.message);
}

Error read_refusal(Refusal::Reader refusal) {
  const std::string_view name(refusal.getCode().begin(), refusal.getCode().size());
  Error error{Code::kInvalid, refusal.getMessage().cStr()};
  for (const Code code : {Code::kInvalid, Code::kNotFound, Code::kConflict, Code::kFenced, Code::kUnavailable,
                          Code::kExhausted, Code::kCorrupt, Code::kDenied, Code::kCancelled}) {
    if (name == name_of(code)) error.code = code;
  }
  return error;
}

Result<Frame> encode(capnp::MessageBuilder& builder) {
  try {
    const std::size_t bytes = capnp::computeSerializedSizeInWords(builder) * sizeof(capnp::word);
    if (bytes > limits::kMessageBytesMax) return tl::unexpected(too_large(bytes));
    if (!walk(capnp::toDynamic(builder.getRoot<Message>().asReader()))) return tl::unexpected(not_utf8());
    const auto words = capnp::messageToFlatArray(builder);
    const auto raw = words.asBytes();
    Frame frame(raw.size());
    std::memcpy(frame.data(), raw.begin(), raw.size());
    return frame;
  } catch (const kj::Exception& exception) {
    return fail(Code::kInvalid, "encoding a message: " + std::string(text_of(exception)));
  }
}

Result<Envelope> decode(std::span<const std::byte> bytes) {
  if (bytes.size() > limits::kMessageBytesMax) return tl::unexpected(too_large(bytes.size()));
  if (bytes.empty() || bytes.size() % sizeof(capnp::word) != 0) {
    return fail(Code::kCorrupt, "a frame of " + std::to_string(bytes.size()) + " bytes is not whole words");
  }
  try {
    auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
    std::memcpy(words.begin(), bytes.data(), bytes.size());
    // An honest message reads each word once; the limit grows with the frame, so a small one cannot cost much
    // time.
    const capnp::ReaderOptions bounds{2 * words.size() + 1024, kNestingMax};
    capnp::FlatArrayMessageReader bounded(words, bounds);
    if (bounded.getEnd() != words.end()) return fail(Code::kCorrupt, "bytes after the end of the message");
    if (!walk(capnp::toDynamic(bounded.getRoot<Message>()))) {
      return fail(Code::kCorrupt, not_utf8().message);
    }
    return Envelope(std::make_unique<Envelope::Content>(kj::mv(words)));
  } catch (const kj::Exception& exception) {
    return fail(Code::kCorrupt, std::string(text_of(exception)));
  }
}

bool is_known_version(Message::Reader message) {
  return message.getVersion() == PROTOCOL_VERSION;
}

bool is_known_kind(Message::Reader message) {
  return static_cast<unsigned>(message.which()) < capnp::Schema::from<Message>().getUnionFields().size();
}

}  // namespace paddock::wire
