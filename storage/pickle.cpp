#include "storage/pickle.h"

#include <optional>
#include <string_view>
#include <utility>

#include "storage/disk.h"

namespace paddock::storage {

namespace {

using Kind = PickleValue::Kind;

// The names are pickletools'.
enum Opcode : unsigned char {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kEmptyDict = '}',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kEmptyList = ']',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

constexpr PickleIndex kNoneIndex =
    0;  // these four are made first; None is also what a failing operation gives
constexpr PickleIndex kOtherIndex = 1;
constexpr PickleIndex kFalseIndex = 2;
constexpr PickleIndex kTrueIndex = 3;
constexpr PickleIndex kNotInMemo = UINT32_MAX;
constexpr std::size_t kGlobalNameBytesMax = 4'096;  // each use of a remembered text would copy it
constexpr unsigned char kProtocolMin = 2;
constexpr unsigned char kProtocolMax = 5;

// Runs opcode after opcode. The first error sticks and ends the run; until then what an operation lacks is
// None, so that no operation needs to look at the error itself.
class Machine {
 public:
  explicit Machine(std::string_view bytes) : bytes_(bytes) {
    make({.kind = Kind::kNone});
    make({.kind = Kind::kOther});
    make({.kind = Kind::kBool, .integer = 0});
    make({.kind = Kind::kBool, .integer = 1});
  }

  Result<Pickle> run() {
    if (bytes_.size() < 2 || static_cast<unsigned char>(bytes_[0]) != kProto)
      return fail(Code::kCorrupt, "the pickle does not begin with its protocol");
    while (!error_ && !is_stopped_) step();
    if (error_) return tl::unexpected<Error>(*error_);
    return Pickle{std::move(values_), top_, at_};
  }

 private:
  void step() {
    opcode_at_ = at_;
    const std::string_view opcode = take(1);
    if (opcode.empty()) return;
    const auto code = static_cast<unsigned char>(opcode[0]);
    if (!push_scalar(code) && !push_text(code) && !shape_stack(code) && !fill(code) && !call(code))
      refuse(Code::kInvalid, "has an opcode (" + std::to_string(code) +
                                 ") that no pickler of protocol 2 to 5 " +
                                 "needs for tensors: save the file again with torch.save");
  }

  bool push_scalar(unsigned char opcode) {
    switch (opcode) {
      case kNone:
        return push(kNoneIndex);
      case kNewTrue:
        return push(kTrueIndex);
      case kNewFalse:
        return push(kFalseIndex);
      case kBinFloat:
        take(8);
        return push(kOtherIndex);
      case kBinInt:
        return push(make({.kind = Kind::kInteger, .integer = static_cast<std::int32_t>(number(4))}));
      case kBinInt1:
        return push(make({.kind = Kind::kInteger, .integer = static_cast<std::int64_t>(number(1))}));
      case kBinInt2:
        return push(make({.kind = Kind::kInteger, .integer = static_cast<std::int64_t>(number(2))}));
      case kLong1:
        return push(long_integer(take(number(1))));
      case kLong4:
        return push(long_integer(take(number(4))));
      case kShortBinBytes:
        take(number(1));
        return push(kOtherIndex);
      case kBinBytes:
        take(number(4));
        return push(kOtherIndex);
      case kBinBytes8:
        take(number(8));
        return push(kOtherIndex);
      default:
        return false;
    }
  }

  bool push_text(unsigned char opcode) {
    switch (opcode) {
      case kShortBinString:
      case kShortBinUnicode:
        return push(make({.kind = Kind::kText, .text = std::string(take(number(1)))}));
      case kBinString:
      case kBinUnicode:
        return push(make({.kind = Kind::kText, .text = std::string(take(number(4)))}));
      case kBinUnicode8:
        return push(make({.kind = Kind::kText, .text = std::string(take(number(8)))}));
      case kGlobal: {
        const std::string module(take_line());
        return push(make({.kind = Kind::kGlobal, .text = module + "." + std::string(take_line())}));
      }
      case kStackGlobal: {
        const PickleIndex name = pop();
        const PickleIndex module = pop();
        if (values_[name].kind != Kind::kText || values_[module].kind != Kind::kText)
          refuse(Code::kCorrupt, "names a global by something that is not text");
        if (values_[name].text.size() + values_[module].text.size() > kGlobalNameBytesMax)
          refuse(Code::kInvalid,
                 "names a global by more than " + std::to_string(kGlobalNameBytesMax) + " bytes");
        if (error_) return true;
        return push(make({.kind = Kind::kGlobal, .text = values_[module].text + "." + values_[name].text}));
      }
      default:
        return false;
    }
  }

  // Opcodes about the stack, the memo and the run itself.
  bool shape_stack(unsigned char opcode) {
    switch (opcode) {
      case kProto: {
        const auto protocol = number(1);
        if (protocol < kProtocolMin || protocol > kProtocolMax)
          refuse(Code::kInvalid, "is of protocol " + std::to_string(protocol) + ", not 2 to 5");
        return true;
      }
      case kFrame:
        take(8);  // how much an unpickler may read ahead
        return true;
      case kStop:
        top_ = pop();
        if (!stack_.empty()) refuse(Code::kCorrupt, "ends with more than one value");
        return is_stopped_ = true;
      case kMark:
        if (marks_.size() == kPickleValuesMax) refuse(Code::kInvalid, "has too many marks");
        marks_.push_back(stack_.size());
        return true;
      case kPop:
        pop();
        return true;
      case kPopMark:
        pop_to_mark();
        return true;
      case kDup:
        return push(top());
      case kBinGet:
        return push(remembered(number(1)));
      case kLongBinGet:
        return push(remembered(number(4)));
      case kBinPut:
        return remember(number(1));
      case kLongBinPut:
        return remember(number(4));
      case kMemoize:
        return remember(memo_.size());
      default:
        return false;
    }
  }

  // Opcodes that make containers and put things into them.
  bool fill(unsigned char opcode) {
    switch (opcode) {
      case kEmptyTuple:
        return push(make({.kind = Kind::kTuple}));
      case kEmptyList:
        return push(make({.kind = Kind::kList}));
      case kEmptyDict:
        return push(make({.kind = Kind::kDict}));
      case kEmptySet:
        return push(make({.kind = Kind::kSet}));
      case kTuple:
        return push(make({.kind = Kind::kTuple, .items = pop_to_mark()}));
      case kTuple1:
      case kTuple2:
      case kTuple3:
        return push(make({.kind = Kind::kTuple, .items = pop_last(opcode - kTuple1 + 1u)}));
      case kFrozenSet:
        pop_to_mark();
        return push(make({.kind = Kind::kSet}));
      case kAppend:
        return append(pop_last(1));
      case kAppends:
        return append(pop_to_mark());
      case kSetItem:
        return set_items(pop_last(2));
      case kSetItems:
        return set_items(pop_to_mark());
      case kAddItems:
        pop_to_mark();
        if (const Kind kind = values_[top()].kind; kind != Kind::kSet && kind != Kind::kCall)
          refuse(Code::kCorrupt, "adds to something that is not a set");
        return true;
      default:
        return false;
    }
  }

  // Opcodes that would run code, and here only record it.
  bool call(unsigned char opcode) {
    switch (opcode) {
      case kNewObjEx:
        pop();  // keyword arguments
        [[fallthrough]];
      case kReduce:
      case kNewObj: {
        const PickleIndex arguments = pop();
        if (values_[arguments].kind != Kind::kTuple)
          refuse(Code::kCorrupt, "calls something with arguments that are not a tuple");
        return push(make({.kind = Kind::kCall, .callable = pop(), .arguments = arguments}));
      }
      case kBuild: {
        const PickleIndex state = pop();
        if (PickleValue& object = values_[top()]; object.kind == Kind::kCall) object.state = state;
        return true;
      }
      case kBinPersId:
        return push(make({.kind = Kind::kPersistent, .items = pop_last(1)}));
      default:
        return false;
    }
  }

  void refuse(Code code, const std::string& what) {
    if (!error_) error_ = Error{code, "the pickle " + what + ", at byte " + std::to_string(opcode_at_)};
  }

  std::string_view take(std::uint64_t bytes) {
    if (bytes > bytes_.size() - at_) {
      refuse(Code::kCorrupt, "breaks off");
      return {};
    }
    at_ += bytes;
    return bytes_.substr(at_ - bytes, bytes);
  }

  std::string_view take_line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) {
      refuse(Code::kCorrupt, "breaks off");
      return {};
    }
    const std::string_view line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  // Unsigned, little-endian.
  std::uint64_t number(std::size_t width) {
    const std::string_view bytes = take(width);
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
    return value;
  }

  // Two's complement, little-endian, of any width.
  PickleIndex long_integer(std::string_view bytes) {
    if (bytes.size() > 8) return kOtherIndex;
    std::uint64_t value =
        !bytes.empty() && static_cast<unsigned char>(bytes.back()) >= 0x80 ? ~std::uint64_t{0} : 0;
    for (std::size_t i = bytes.size(); i-- > 0;) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
    return make({.kind = Kind::kInteger, .integer = static_cast<std::int64_t>(value)});
  }

  PickleIndex make(PickleValue value) {
    if (values_.size() == kPickleValuesMax) {
      refuse(Code::kInvalid, "has more than " + std::to_string(kPickleValuesMax) + " values");
      return kNoneIndex;
    }
    values_.push_back(std::move(value));
    return static_cast<PickleIndex>(values_.size() - 1);
  }

  bool push(PickleIndex value) {
    if (stack_.size() == kPickleValuesMax)
      refuse(Code::kInvalid, "needs a stack of more than " + std::to_string(kPickleValuesMax) + " values");
    else
      stack_.push_back(value);
    return true;
  }

  // Values above the last mark, the only ones within reach.
  std::size_t reachable() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  PickleIndex top() {
    if (reachable() > 0) return stack_.back();
    refuse(Code::kCorrupt, "takes from an empty stack");
    return kNoneIndex;
  }

  PickleIndex pop() {
    const PickleIndex value = top();
    if (reachable() > 0) stack_.pop_back();
    return value;
  }

  std::vector<PickleIndex> pop_last(std::size_t count) {
    if (reachable() < count) {
      refuse(Code::kCorrupt, "takes from an empty stack");
      return {};
    }
    std::vector<PickleIndex> last(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return last;
  }

  std::vector<PickleIndex> pop_to_mark() {
    if (marks_.empty()) {
      refuse(Code::kCorrupt, "goes back to a mark that is not there");
      return {};
    }
    std::vector<PickleIndex> last = pop_last(reachable());
    marks_.pop_back();
    return last;
  }

  bool append(const std::vector<PickleIndex>& items) {
    PickleValue& list = values_[top()];
    if (list.kind == Kind::kList)
      list.items.insert(list.items.end(), items.begin(), items.end());
    else if (list.kind != Kind::kCall)  // a list of a class of its own, whose items are not kept
      refuse(Code::kCorrupt, "appends to something that is not a list");
    return true;
  }

  bool set_items(const std::vector<PickleIndex>& items) {
    PickleValue& dict = values_[top()];
    if (dict.kind != Kind::kDict && dict.kind != Kind::kCall)
      refuse(Code::kCorrupt, "sets an item of something that is not a dict");
    else if (items.size() % 2 != 0)
      refuse(Code::kCorrupt, "sets a key without a value");
    else
      dict.items.insert(dict.items.end(), items.begin(), items.end());
    return true;
  }

  bool remember(std::uint64_t place) {
    if (place >= kPickleValuesMax) {
      refuse(Code::kInvalid, "remembers more than " + std::to_string(kPickleValuesMax) + " values");
      return true;
    }
    if (place >= memo_.size()) memo_.resize(place + 1, kNotInMemo);
    memo_[place] = top();
    return true;
  }

  PickleIndex remembered(std::uint64_t place) {
    if (place < memo_.size() && memo_[place] != kNotInMemo) return memo_[place];
    refuse(Code::kCorrupt, "recalls value " + std::to_string(place) + ", which it did not remember");
    return kNoneIndex;
  }

  const std::string_view bytes_;
  std::size_t at_ = 0;
  std::size_t opcode_at_ = 0;
  std::vector<PickleValue> values_;
  std::vector<PickleIndex> stack_;
  std::vector<std::size_t> marks_;  // heights of the stack, rising
  std::vector<PickleIndex> memo_;
  PickleIndex top_ = kNoneIndex;
  bool is_stopped_ = false;
  std::optional<Error> error_;
};

}  // namespace

Result<Pickle> parse_pickle(std::span<const std::byte> bytes) {
  if (bytes.size() > kPickleBytesMax)
    return fail(Code::kInvalid, "the pickle has " + std::to_string(bytes.size()) + " bytes, more than the " +
                                    std::to_string(kPickleBytesMax) + " allowed");
  return Machine(text_of(bytes)).run();
}

}  // namespace paddock::storage
