// storage/torch_tensors.h – the tensors that a pickle of torch.save describes, taken from the storages
// saved beside it. What the pickle calls to rebuild a tensor is recognised by name
// (torch._utils._rebuild_tensor_v2 and its kin) and never called. For storage/torch_file.cpp. Threads: pure
// functions and values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/pickle.h"
#include "storage/torch_file.h"

namespace paddock::storage {

// What a tensor's elements lie in: raw bytes by the key the pickle gives them.
using TorchStorages = std::map<std::string, std::span<const std::byte>, std::less<>>;

// How a pickle refers to a storage: ("storage", type, key, device, number of elements), as a persistent id;
// older files add what it is a view of, or None.
struct StorageReference {
  std::string_view type;  // "torch.FloatStorage", …
  std::string_view key;
  std::uint64_t elements = 0;
  bool is_view = false;  // of another storage
};
// Empty when the value is none.
std::optional<StorageReference> storage_reference(const Pickle& pickle, PickleIndex index);

// Bytes an element takes in a storage of that type ("torch.FloatStorage": 4). Empty for types not known here.
std::optional<std::size_t> bytes_per_storage_element(std::string_view type);

// Fills `file.tensors`, `file.dropped` and `file.copies`; `file.bytes` are there already. Errors as
// read_torch_file.
Result<void> collect_tensors(const Pickle& pickle, const TorchStorages& storages, TorchFile& file);

}  // namespace paddock::storage
