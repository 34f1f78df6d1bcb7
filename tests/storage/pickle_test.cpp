#include "storage/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/disk.h"

namespace paddock::storage {
namespace {

using testing::HasSubstr;
using Kind = PickleValue::Kind;

// A pickle of protocol 2 with these opcodes, which hold no zero byte unless their length is given.
std::string pickle(std::string_view opcodes) {
  return "\x80\x02" + std::string(opcodes) + ".";
}

std::string refusal(const std::string& bytes, Code code = Code::kCorrupt) {
  const auto parsed = parse_pickle(bytes_of(bytes));
  if (parsed) return "accepted";
  EXPECT_EQ(parsed.error().code, code) << parsed.error().message;
  return parsed.error().message;
}

TEST(Pickle, GivesScalarsTextsAndContainers) {
  using namespace std::string_view_literals;
  // [None, True, -2, 300, -1 (LONG1), 2**64 (LONG1), 0.0, "ab", b"c", (1,), {"k": []}]
  const std::string bytes = pickle(
      "]q\x01(N\x88J\xfe\xff\xff\xffM\x2c\x01\x8a\x01\xff\x8a\x09\0\0\0\0\0\0\0\0\x01G\0\0\0\0\0\0\0\0"
      "X\x02\0\0\0abC\x01"
      "cK\x01\x85}X\x01\0\0\0k]se"sv);
  const auto parsed = parse_pickle(bytes_of(bytes + "more"));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->bytes, bytes.size());
  const PickleValue& top = parsed->at(parsed->top);
  ASSERT_EQ(top.kind, Kind::kList);
  std::vector<Kind> kinds;
  for (const PickleIndex item : top.items) kinds.push_back(parsed->at(item).kind);
  ASSERT_THAT(kinds, testing::ElementsAre(Kind::kNone, Kind::kBool, Kind::kInteger, Kind::kInteger,
                                          Kind::kInteger, Kind::kOther, Kind::kOther, Kind::kText,
                                          Kind::kOther, Kind::kTuple, Kind::kDict));
  const auto item = [&](std::size_t i) -> const PickleValue& { return parsed->at(top.items[i]); };
  EXPECT_EQ(item(1).integer, 1);
  EXPECT_EQ(item(2).integer, -2);
  EXPECT_EQ(item(3).integer, 300);
  EXPECT_EQ(item(4).integer, -1);
  EXPECT_EQ(item(7).text, "ab");
  EXPECT_EQ(parsed->at(item(9).items.at(0)).integer, 1);
  EXPECT_EQ(parsed->at(item(10).items.at(0)).text, "k");
  EXPECT_EQ(parsed->at(item(10).items.at(1)).kind, Kind::kList);
}

TEST(Pickle, CallsAreRecordedAndNeverMade) {
  // os.system("x"), an object built with a state, and one of STACK_GLOBAL with keyword arguments
  for (const std::string& bytes :
       {pickle("cos\nsystem\n\x8c\x01x\x85R"), pickle("cos\nsystem\n\x8c\x01x\x85\x81}b"),
        pickle("\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85}\x92")}) {
    const auto parsed = parse_pickle(bytes_of(bytes));
    ASSERT_TRUE(parsed) << parsed.error().message;
    const PickleValue& call = parsed->at(parsed->top);
    ASSERT_EQ(call.kind, Kind::kCall);
    EXPECT_EQ(parsed->at(call.callable).text, "os.system");
    EXPECT_EQ(parsed->at(parsed->at(call.arguments).items.at(0)).text, "x");
  }
}

TEST(Pickle, MemoGivesTheSameValueAndMayMakeACircle) {
  const auto parsed =
      parse_pickle(bytes_of(pickle("]q\x05h\x05"
                                   "a")));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->at(parsed->top).items, std::vector<PickleIndex>{parsed->top});
}

TEST(Pickle, EachDefectHasItsOwnSentence) {
  EXPECT_THAT(refusal(""), HasSubstr("does not begin with its protocol"));
  EXPECT_THAT(refusal("(I1\n."), HasSubstr("does not begin with its protocol"));
  EXPECT_THAT(refusal("\x80\x06N.", Code::kInvalid), HasSubstr("is of protocol 6"));
  EXPECT_THAT(refusal("\x80\x02N"), HasSubstr("breaks off, at byte 3"));
  EXPECT_THAT(refusal(pickle("X\xff\xff\xff\xff")), HasSubstr("breaks off, at byte 2"));
  EXPECT_THAT(refusal(pickle("\x8d\xff\xff\xff\xff\xff\xff\xff\xff")), HasSubstr("breaks off"));
  EXPECT_THAT(refusal(pickle("cos")), HasSubstr("breaks off"));
  EXPECT_THAT(refusal(pickle("")), HasSubstr("empty stack"));
  EXPECT_THAT(refusal(pickle("N(0")), HasSubstr("empty stack"));
  EXPECT_THAT(refusal(pickle("N\x86")), HasSubstr("empty stack"));
  EXPECT_THAT(refusal(pickle("NN")), HasSubstr("more than one value"));
  EXPECT_THAT(refusal(pickle("Nt")), HasSubstr("mark that is not there"));
  EXPECT_THAT(refusal(pickle("h\x01")), HasSubstr("recalls value 1"));
  EXPECT_THAT(refusal(pickle("Nr\xff\xff\xff\xff"), Code::kInvalid), HasSubstr("remembers more than"));
  EXPECT_THAT(refusal(pickle("NNa")), HasSubstr("not a list"));
  EXPECT_THAT(refusal(pickle("]NNs")), HasSubstr("not a dict"));
  EXPECT_THAT(refusal(pickle("}(Nu")), HasSubstr("key without a value"));
  EXPECT_THAT(refusal(pickle("](N\x90")), HasSubstr("not a set"));
  EXPECT_THAT(refusal(pickle("cos\nsystem\nNR")), HasSubstr("not a tuple"));
  EXPECT_THAT(refusal(pickle("NN\x93")), HasSubstr("not text"));
  EXPECT_THAT(refusal(pickle("i"), Code::kInvalid), HasSubstr("opcode (105)"));
}

TEST(Pickle, SizesAreBounded) {
  EXPECT_THAT(refusal(pickle(std::string(kPickleValuesMax + 1, ']')), Code::kInvalid),
              HasSubstr("more than 4000000 values"));
  EXPECT_THAT(refusal(pickle(std::string(kPickleValuesMax + 1, 'N')), Code::kInvalid),
              HasSubstr("a stack of more than"));
  EXPECT_THAT(refusal(pickle("N" + std::string(kPickleValuesMax + 1, '(')), Code::kInvalid),
              HasSubstr("too many marks"));
}

// Six bytes that name a global by a long text again would copy it each time.
TEST(Pickle, NamesOfGlobalsAreBounded) {
  const std::string long_text = std::string("X\x00\x20\x00\x00", 5) + std::string(8'192, 'n');
  const auto parsed = parse_pickle(bytes_of(std::string("\x80\x04", 2) + long_text + "q" +
                                            std::string("\x00", 1) + "h" + std::string("\x00", 1) + "\x93."));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Code::kInvalid);
  EXPECT_NE(parsed.error().message.find("names a global by more than 4096 bytes"), std::string::npos);
}

}  // namespace
}  // namespace paddock::storage
