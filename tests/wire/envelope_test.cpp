#include "wire/envelope.h"

#include <capnp/serialize.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/limits.h"
#include "tests/wire/example_message.h"

namespace paddock::wire {
namespace {

Frame example_frame() {
  capnp::MallocMessageBuilder builder;
  write_example(builder, 7);
  return encode(builder).value();
}

TEST(Envelope, WhatIsEncodedIsDecodedAlike) {
  const Frame frame = example_frame();
  const Envelope envelope = decode(frame).value();
  const auto message = envelope.message();
  EXPECT_TRUE(is_known_version(message));
  EXPECT_TRUE(is_known_kind(message));
  EXPECT_EQ(message.getRequestId(), 7u);
  ASSERT_TRUE(message.isReports());
  EXPECT_STREQ(message.getReports().getReports()[1].getArtifact().getPath().cStr(), "/store/größe");
  EXPECT_EQ(message.getReports().getReports()[2].getLog().getBytes().size(), 3u);
}

TEST(Envelope, CanBeReadAnyNumberOfTimes) {
  const Envelope envelope = decode(example_frame()).value();
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(envelope.message().getReports().getReports().size(), 3u);
}

TEST(Envelope, EveryTruncationIsRefused) {
  const Frame frame = example_frame();
  for (std::size_t size = 0; size < frame.size(); ++size) {
    ASSERT_FALSE(decode(std::span(frame).first(size))) << size;
  }
}

TEST(Envelope, BytesAfterTheMessageAreRefused) {
  Frame frame = example_frame();
  frame.resize(frame.size() + 8);
  EXPECT_EQ(decode(frame).error().code, Code::kCorrupt);
}

TEST(Envelope, TextThatIsNotUtf8IsRefusedOnBothSides) {
  for (const char* text : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82", "a\x80"}) {
    capnp::MallocMessageBuilder builder;
    begin(builder).initRefused().setMessage(text);
    ASSERT_FALSE(encode(builder)) << text;
    const auto words = capnp::messageToFlatArray(builder);
    Frame frame(words.asBytes().size());
    std::memcpy(frame.data(), words.asBytes().begin(), frame.size());
    ASSERT_EQ(decode(frame).error().code, Code::kCorrupt) << text;
  }
}

TEST(Envelope, AMessageAboveTheLimitIsRefusedOnBothSides) {
  capnp::MallocMessageBuilder builder;
  begin(builder).initSubmit().initSpec(limits::kMessageBytesMax);
  EXPECT_EQ(encode(builder).error().code, Code::kExhausted);
  EXPECT_EQ(decode(Frame(limits::kMessageBytesMax + 8)).error().code, Code::kExhausted);
}

// A hundred bytes that claim half a milliard elements of no size must not cost half a milliard steps.
TEST(Envelope, AListThatClaimsMoreThanTheFrameHoldsIsRefused) {
  capnp::MallocMessageBuilder builder;
  begin(builder).initReports().initReports(1);
  const auto words = capnp::messageToFlatArray(builder);
  Frame frame(words.asBytes().size());
  std::memcpy(frame.data(), words.asBytes().begin(), frame.size());
  // The tag word of the list of structs: element count in bits 2..31, and no data and no pointers each.
  bool found = false;
  for (std::size_t at = 8; at + 16 <= frame.size() && !found; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, &frame[at], 8);
    if ((word & 0xffffffffu) != (1u << 2)) continue;
    word = ((std::uint64_t{1} << 29) - 1) << 2;
    std::memcpy(&frame[at], &word, 8);
    found = true;
  }
  ASSERT_TRUE(found);
  EXPECT_FALSE(decode(frame));
}

TEST(Envelope, AKindOfANewerReleaseIsDecodedButNotKnown) {
  Frame frame = example_frame();
  const Envelope before = decode(frame).value();
  const auto which = static_cast<std::uint16_t>(before.message().which());
  // The discriminant is the only 16-bit field of the root's data with that value at an even offset.
  for (std::size_t at = 16; at + 2 <= 40; at += 2) {
    std::uint16_t value = 0;
    std::memcpy(&value, &frame[at], 2);
    if (value != which) continue;
    value = 999;
    std::memcpy(&frame[at], &value, 2);
    const Envelope newer = decode(frame).value();
    EXPECT_TRUE(is_known_version(newer.message()));
    EXPECT_FALSE(is_known_kind(newer.message()));
    return;
  }
  FAIL() << "no discriminant found";
}

TEST(Envelope, ARefusalCarriesAnErrorAcross) {
  capnp::MallocMessageBuilder builder;
  write_refusal(builder, 9, Error{Code::kFenced, "stop"});
  const Envelope envelope = decode(encode(builder).value()).value();
  const Error error = read_refusal(envelope.message().getRefused());
  EXPECT_EQ(error.code, Code::kFenced);
  EXPECT_EQ(error.message, "stop");
  EXPECT_EQ(envelope.message().getRequestId(), 9u);
}

}  // namespace
}  // namespace paddock::wire
