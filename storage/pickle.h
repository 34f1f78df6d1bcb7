// storage/pickle.h – what a Python pickle (protocols 2 to 5) says, as plain values; nothing is imported,
// called or looked up. A global is its name; calling, constructing or reducing anything gives a kCall that
// only records what would have been called with what. So a pickle is as harmless as a text, and objects of
// classes nobody here knows are values like others. Format: CPython's Lib/pickletools.py; only the opcodes
// that its pickler writes from protocol 2 on are understood. Threads: pure functions and values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace paddock::storage {

inline constexpr std::size_t kPickleBytesMax = 256u << 20;
// Values, and likewise entries of the stack, marks and entries of the memo.
inline constexpr std::size_t kPickleValuesMax = 4'000'000;

using PickleIndex = std::uint32_t;  // into Pickle::values

struct PickleValue {
  enum class Kind : std::uint8_t {
    kNone,
    kBool,        // integer: 0 or 1
    kInteger,     // fits 64 bits
    kOther,       // a float, bytes or longer integer: its value is not kept
    kText,        // text: not necessarily UTF-8
    kGlobal,      // text: "module.name"
    kTuple,       // items
    kList,        // items
    kSet,         // items are not kept
    kDict,        // items: key, value, key, value, …
    kPersistent,  // items: the one id, whose meaning is up to who wrote the pickle
    kCall,        // items: what was set on the result as on a dict; callable and arguments
  };
  Kind kind = Kind::kNone;
  PickleIndex callable = 0;
  PickleIndex arguments = 0;
  PickleIndex state = 0;  // of a kCall: what the object was given at last; value 0 is None
  std::int64_t integer = 0;
  std::string text = {};
  std::vector<PickleIndex> items = {};
};

struct Pickle {
  std::vector<PickleValue> values;  // may share and contain each other in circles
  PickleIndex top = 0;
  std::size_t bytes = 0;  // of the pickle: more may follow

  const PickleValue& at(PickleIndex index) const { return values[index]; }
};

// The pickle at the beginning of `bytes`. kCorrupt: it breaks off or contradicts itself. kInvalid: an
// opcode of another protocol, or beyond the bounds above. Messages name the byte, not the file.
Result<Pickle> parse_pickle(std::span<const std::byte> bytes);

}  // namespace paddock::storage
