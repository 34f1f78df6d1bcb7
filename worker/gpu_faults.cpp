#include "worker/gpu_faults.h"

#include <algorithm>
#include <array>

namespace paddock::worker {
namespace {

struct Xid {
  std::uint64_t number;
  XidMeaning meaning;
  const char* text;
};

constexpr std::array kXids{
    Xid{13, XidMeaning::kApplication, "an exception in a kernel"},
    Xid{31, XidMeaning::kApplication, "a memory page fault of the program"},
    Xid{43, XidMeaning::kApplication, "the program was stopped"},
    Xid{45, XidMeaning::kApplication, "the program was ended early"},
    Xid{48, XidMeaning::kDevice, "an uncorrectable error of its memory"},
    Xid{63, XidMeaning::kDevice, "a page of its memory is being retired"},
    Xid{64, XidMeaning::kDevice, "a page of its memory could not be retired"},
    Xid{68, XidMeaning::kApplication, "an exception in the video processor"},
    Xid{74, XidMeaning::kDevice, "an NVLink error"},
    Xid{79, XidMeaning::kDevice, "the GPU has fallen off the bus"},
    Xid{94, XidMeaning::kDevice, "a contained error of its memory"},
    Xid{95, XidMeaning::kDevice, "an uncontained error of its memory"},
    Xid{109, XidMeaning::kApplication, "a context switch took too long"},
    Xid{119, XidMeaning::kDevice, "its system processor does not answer"},
    Xid{120, XidMeaning::kDevice, "an error of its system processor"},
};

const Xid* find(std::uint64_t number) {
  const auto* const found = std::ranges::find(kXids, number, &Xid::number);
  return found == kXids.end() ? nullptr : found;
}

}  // namespace

XidMeaning meaning_of_xid(std::uint64_t xid) {
  const Xid* const known = find(xid);
  return known == nullptr ? XidMeaning::kUnknown : known->meaning;
}

std::string describe_xid(std::uint64_t xid) {
  const Xid* const known = find(xid);
  return "Xid " + std::to_string(xid) + (known == nullptr ? "" : " (" + std::string(known->text) + ")");
}

}  // namespace paddock::worker
