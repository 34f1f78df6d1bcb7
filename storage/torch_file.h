// storage/torch_file.h – tensors from a .pth or .pt file, as PyTorch's torch.save writes it: a zip archive
// (storage/zip.h) with <top>/data.pkl, a pickle (storage/pickle.h) of nested dicts, lists and tuples, and
// one entry <top>/data/<key> for each storage the tensors lie in; or the form without archive of torch
// before 1.6; or a compiled module, as torch.jit.save writes it: its tensors by the names of its state_dict, and attributes
// that are tensors. Nothing in the file is executed: besides tensors and containers the pickle's objects are
// names, and dropped. The reader takes nothing on trust: each tensor must lie inside its storage, and
// tensors that share or repeat storage may not together become much more than the file. Threads: pure
// functions and values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/disk.h"
#include "storage/safetensors.h"

namespace paddock::storage {

// All tensors together may have so many bytes for each of the file's, and so many on top (small files
// expand scalars).
inline constexpr std::uint64_t kTensorBytesPerFileByteMax = 4;
inline constexpr std::uint64_t kTensorBytesOnTopMax = 1u << 20;
inline constexpr std::size_t kTensorsMax = 100'000;
inline constexpr std::size_t kTensorNameBytesMax = 512;
inline constexpr std::size_t kTensorNestingMax = 64;  // dicts, lists and tuples within each other
inline constexpr std::size_t kDroppedNamedMax = 1'000;

// Movable; the tensors' spans stay valid while it lives.
struct TorchFile {
  // In the order of the pickle. Named by the keys and indices on the way to them, joined with '.':
  // "teacher.backbone.cls_token", "optimizer.state.0.exp_avg"; a tensor saved alone has the name "".
  std::vector<TensorBytes> tensors;
  // What was left out besides plain numbers, texts, devices, dtypes and sizes, each as its name and what it
  // is: "args (argparse.Namespace)", "phase (torch.ComplexFloatStorage)". After kDroppedNamedMax, how many
  // more.
  std::vector<std::string> dropped;
  Bytes bytes;                // the file, into which the contiguous tensors' spans point
  std::vector<Bytes> copies;  // row-major copies of the other tensors

  // nullptr when there is none of that name.
  const TensorBytes* find(std::string_view name) const;
};

// Reads the whole file, once. kCorrupt: cut short, damaged or contradictory. kInvalid: no file of
// torch.save, big-endian, without any tensor, with two tensors of one name, or beyond the bounds above.
Result<TorchFile> read_torch_file(Disk& disk, const fs::path& path);

}  // namespace paddock::storage
