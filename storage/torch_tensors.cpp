#include "storage/torch_tensors.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

namespace paddock::storage {

namespace {

using Kind = PickleValue::Kind;
using Items = std::vector<PickleIndex>;

// torch's names for what the elements of a storage or tensor are, and safetensors' (bytes_per_element).
struct ElementType {
  std::string_view storage;
  std::string_view torch_dtype;
  std::string_view dtype;
};
constexpr ElementType kElementTypes[] = {
    {"torch.FloatStorage", "torch.float32", "F32"},
    {"torch.DoubleStorage", "torch.float64", "F64"},
    {"torch.HalfStorage", "torch.float16", "F16"},
    {"torch.BFloat16Storage", "torch.bfloat16", "BF16"},
    {"torch.LongStorage", "torch.int64", "I64"},
    {"torch.IntStorage", "torch.int32", "I32"},
    {"torch.ShortStorage", "torch.int16", "I16"},
    {"torch.CharStorage", "torch.int8", "I8"},
    {"torch.ByteStorage", "torch.uint8", "U8"},
    {"torch.BoolStorage", "torch.bool", "BOOL"},
    // Saved in an untyped storage, the dtype beside it.
    {"", "torch.uint16", "U16"},
    {"", "torch.uint32", "U32"},
    {"", "torch.uint64", "U64"},
    {"", "torch.float8_e4m3fn", "F8_E4M3"},
    {"", "torch.float8_e5m2", "F8_E5M2"},
};
constexpr std::string_view kUntypedStorage = "torch.storage.UntypedStorage";  // its elements are bytes

// Empty when unknown, as is dtype_named.
std::string_view dtype_of_storage(std::string_view type) {
  const auto* known = std::find_if(std::begin(kElementTypes), std::end(kElementTypes),
                                   [&](const ElementType& element) { return element.storage == type; });
  return known == std::end(kElementTypes) || type.empty() ? std::string_view() : known->dtype;
}

std::string_view dtype_named(std::string_view torch_dtype) {
  const auto* known =
      std::find_if(std::begin(kElementTypes), std::end(kElementTypes),
                   [&](const ElementType& element) { return element.torch_dtype == torch_dtype; });
  return known == std::end(kElementTypes) ? std::string_view() : known->dtype;
}

// TorchScript's classes are of a module of their own; its containers are given their types by calls.
constexpr std::string_view kScriptedClass = "__torch__.";
constexpr std::string_view kScriptedContainer = "torch.jit._pickle.";

// Rebuilding a tensor wears at most so many wrappers (Parameter, subclass with attributes).
constexpr int kWrappersMax = 4;

struct Call {
  std::string_view function;
  const Items* arguments = nullptr;
};

// Where a tensor's elements lie in its storage, counted in elements.
struct Layout {
  std::uint64_t offset = 0;
  std::vector<std::int64_t> shape;
  std::vector<std::uint64_t> strides;  // 0 where the length is 1 or the tensor empty
  std::uint64_t elements = 1;
  std::uint64_t last = 0;  // the highest element it touches; of no meaning when empty
  bool is_contiguous = true;
};

// Row-major from any strides. Every element was checked to lie inside `storage`.
Bytes copy_row_major(std::span<const std::byte> storage, const Layout& layout, std::size_t element_bytes) {
  Bytes copy(layout.elements * element_bytes);
  std::vector<std::int64_t> position(layout.shape.size(), 0);
  std::uint64_t from = layout.offset;
  for (std::uint64_t to = 0; to < layout.elements; ++to) {
    std::memcpy(copy.writable().data() + to * element_bytes, storage.data() + from * element_bytes,
                element_bytes);
    for (std::size_t d = layout.shape.size(); d-- > 0;) {
      from += layout.strides[d];
      if (++position[d] < layout.shape[d]) break;
      from -= layout.strides[d] * static_cast<std::uint64_t>(layout.shape[d]);
      position[d] = 0;
    }
  }
  return copy;
}

// Walks a pickle's value and takes its tensors into a TorchFile.
class Collector {
 public:
  Collector(const Pickle& pickle, const TorchStorages& storages, TorchFile& file)
      : pickle_(pickle),
        storages_(storages),
        file_(file),
        bytes_left_(kTensorBytesOnTopMax + kTensorBytesPerFileByteMax * file.bytes.size()) {}

  Result<void> collect() {
    if (auto visited = visit(pickle_.top, 0); !visited) return visited;
    if (file_.tensors.empty()) {
      const std::string instead = file_.dropped.empty() ? "" : " but only " + file_.dropped.front();
      return fail(Code::kInvalid, "it holds no tensors" + instead +
                                      ": save them as a dict, as in torch.save(model.state_dict(), path)");
    }
    if (dropped_unnamed_ > 0) file_.dropped.push_back("and " + std::to_string(dropped_unnamed_) + " more");
    return {};
  }

 private:
  Result<void> visit(PickleIndex index, std::size_t depth) {
    if (depth > kTensorNestingMax)
      return fail(Code::kInvalid, "\"" + name_.substr(0, 100) + "…\" lies in more than " +
                                      std::to_string(kTensorNestingMax) + " containers, or contains itself");
    if (++visits_ > kPickleValuesMax)
      return fail(Code::kInvalid, "its containers repeat each other until there are more than " +
                                      std::to_string(kPickleValuesMax) + " values");
    const PickleValue& value = pickle_.at(index);
    switch (value.kind) {
      case Kind::kDict:
        return visit_dict(value.items, depth);
      case Kind::kTuple:
      case Kind::kList:
        return visit_list(value.items, depth);
      case Kind::kCall:
        return visit_call(index, depth);
      case Kind::kSet:
        return drop("set");
      case Kind::kPersistent:
        return drop("storage without a tensor");
      case Kind::kGlobal:
        return value.text.starts_with("torch.") ? Result<void>() : drop(value.text);  // a dtype, mostly
      case Kind::kNone:
      case Kind::kBool:
      case Kind::kInteger:
      case Kind::kOther:
      case Kind::kText:
        return {};
    }
    return {};
  }

  Result<void> visit_dict(const Items& items, std::size_t depth) {
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      const PickleValue& key = pickle_.at(items[i]);
      const auto visited = key.kind == Kind::kText ? visit_item(key.text, items[i + 1], depth)
                           : key.kind == Kind::kInteger
                               ? visit_item(std::to_string(key.integer), items[i + 1], depth)
                               : drop("entry whose key is neither text nor integer");
      if (!visited) return visited;
    }
    return {};
  }

  Result<void> visit_list(const Items& items, std::size_t depth) {
    for (std::size_t i = 0; i < items.size(); ++i)
      if (auto visited = visit_item(std::to_string(i), items[i], depth); !visited) return visited;
    return {};
  }

  Result<void> visit_item(std::string_view key, PickleIndex index, std::size_t depth) {
    const std::size_t length = name_.size();
    if (length + 1 + key.size() > kTensorNameBytesMax)
      return fail(Code::kInvalid, "the name \"" + (name_ + std::string(key)).substr(0, 100) +
                                      "…\" has more than " + std::to_string(kTensorNameBytesMax) + " bytes");
    if (depth > 0) name_ += '.';
    name_ += key;
    auto visited = visit(index, depth + 1);
    name_.resize(length);
    return visited;
  }

  Result<void> visit_call(PickleIndex index, std::size_t depth) {
    Call call = call_of(index);
    if (call.function == "collections.OrderedDict" && !call.arguments->empty())
      return drop("collections.OrderedDict in the form of Python 2");
    if (call.function == "collections.OrderedDict" || call.function == "collections.defaultdict")
      return visit_dict(pickle_.at(index).items, depth);
    // A device or size; _codecs.encode is how protocol 2 writes bytes.
    if (call.function == "torch.Size" || call.function == "torch.device" || call.function == "_codecs.encode")
      return {};
    // A module of TorchScript: its parameters, buffers, modules and whatever else it has are its state.
    if (call.function.starts_with(kScriptedClass)) return visit_within(pickle_.at(index).state, depth);
    if (call.function.starts_with(kScriptedContainer) && !call.arguments->empty())
      return visit_within(call.arguments->front(), depth);
    const std::string_view outermost = call.function;
    for (int wrappers = 0; wrappers < kWrappersMax; ++wrappers) {
      if (call.function == "torch._utils._rebuild_tensor_v2") return take_tensor(*call.arguments, false);
      if (call.function == "torch._utils._rebuild_tensor_v3") return take_tensor(*call.arguments, true);
      call = unwrapped(call);
    }
    return drop(outermost.empty() ? "object" : std::string(outermost));
  }

  // What stands for the value itself, under its name.
  Result<void> visit_within(PickleIndex index, std::size_t depth) {
    if (++calls_ > kTensorNestingMax)
      return fail(Code::kInvalid, "\"" + name_.substr(0, 100) + "…\" lies in more than " +
                                      std::to_string(kTensorNestingMax) + " objects, or contains itself");
    auto visited = visit(index, depth);
    --calls_;
    return visited;
  }

  // The function is empty when what is called has no name.
  Call call_of(PickleIndex index) const {
    const PickleValue& value = pickle_.at(index);
    if (value.kind != Kind::kCall || pickle_.at(value.callable).kind != Kind::kGlobal) return {};
    return {pickle_.at(value.callable).text, &pickle_.at(value.arguments).items};
  }

  // What a Parameter, or a tensor with attributes or of a subclass, is made of; an empty call for anything
  // else.
  Call unwrapped(const Call& call) const {
    if ((call.function == "torch._utils._rebuild_parameter" ||
         call.function == "torch._utils._rebuild_parameter_with_state") &&
        !call.arguments->empty())
      return call_of(call.arguments->front());
    if (call.function == "torch._tensor._rebuild_from_type_v2" && call.arguments->size() >= 3) {
      const PickleValue& function = pickle_.at((*call.arguments)[0]);
      const PickleValue& arguments = pickle_.at((*call.arguments)[2]);
      if (function.kind == Kind::kGlobal && arguments.kind == Kind::kTuple)
        return {function.text, &arguments.items};
    }
    return {};
  }

  Result<void> drop(const std::string& what) {
    if (file_.dropped.size() < kDroppedNamedMax)
      file_.dropped.push_back(name_.empty() ? what
                                            : name_ + " (" + what.substr(0, kTensorNameBytesMax) + ")");
    else
      ++dropped_unnamed_;
    return {};
  }

  tl::unexpected<Error> refuse(Code code, const std::string& what) const {
    return fail(code, "tensor \"" + name_ + "\" " + what);
  }

  // Arguments: storage, offset, shape, strides, requires_grad, hooks; then the dtype, with `has_dtype`;
  // then, where there are any, flags such as conjugation.
  Result<void> take_tensor(const Items& arguments, bool has_dtype) {
    const std::size_t known = has_dtype ? 7 : 6;
    if (arguments.size() < known) return refuse(Code::kCorrupt, "is described incompletely");
    const auto reference = storage_reference(pickle_, arguments[0]);
    if (!reference) return refuse(Code::kCorrupt, "is described without a storage");
    const std::string_view torch_type =
        has_dtype ? std::string_view(pickle_.at(arguments[6]).text) : reference->type;
    const std::string_view dtype = has_dtype ? dtype_named(torch_type) : dtype_of_storage(torch_type);
    if (dtype.empty()) return drop(std::string(torch_type));
    if (arguments.size() > known && !is_nothing(arguments[known])) return drop("tensor with flags");

    const auto storage = storages_.find(reference->key);
    if (storage == storages_.end())
      return refuse(Code::kCorrupt,
                    "lies in storage \"" + std::string(reference->key) + "\", which is not there");
    const std::size_t element_bytes = *bytes_per_element(dtype);
    const auto storage_element = bytes_per_storage_element(reference->type);
    if (!storage_element || storage->second.size() % *storage_element != 0 ||
        storage->second.size() / *storage_element != reference->elements)
      return refuse(Code::kCorrupt, "lies in storage \"" + std::string(reference->key) + "\", which has " +
                                        std::to_string(storage->second.size()) + " bytes where " +
                                        std::to_string(reference->elements) + " elements of " +
                                        std::string(reference->type) + " should be");
    auto layout = read_layout(arguments);
    if (!layout) return tl::unexpected<Error>(layout.error());
    if (layout->elements > 0 && layout->last >= storage->second.size() / element_bytes)
      return refuse(Code::kCorrupt, "reaches element " + std::to_string(layout->last) +
                                        " of its storage, which has " +
                                        std::to_string(storage->second.size() / element_bytes));
    return add_tensor(*std::move(layout), dtype, element_bytes, storage->second);
  }

  bool is_nothing(PickleIndex index) const {
    const PickleValue& value = pickle_.at(index);
    return value.kind == Kind::kNone || (value.kind == Kind::kDict && value.items.empty());
  }

  // Offset, shape and strides from a tensor's arguments; no sum or product of them overflows.
  Result<Layout> read_layout(const Items& arguments) const {
    const PickleValue& offset = pickle_.at(arguments[1]);
    const PickleValue& shape = pickle_.at(arguments[2]);
    const PickleValue& strides = pickle_.at(arguments[3]);
    if (offset.kind != Kind::kInteger || offset.integer < 0)
      return refuse(Code::kCorrupt, "has an offset that is not a position");
    if (shape.kind != Kind::kTuple || strides.kind != Kind::kTuple ||
        shape.items.size() != strides.items.size())
      return refuse(Code::kCorrupt, "has a shape and strides that are not two lists of one length");
    if (shape.items.size() > kTensorDimensionsMax)
      return refuse(Code::kInvalid, "has " + std::to_string(shape.items.size()) +
                                        " dimensions, more than the " + std::to_string(kTensorDimensionsMax) +
                                        " allowed");
    Layout layout;
    layout.offset = layout.last = static_cast<std::uint64_t>(offset.integer);
    bool overflows = false;
    for (std::size_t d = shape.items.size(); d-- > 0;) {  // from the fastest dimension
      const PickleValue& length = pickle_.at(shape.items[d]);
      const PickleValue& stride = pickle_.at(strides.items[d]);
      if (length.kind != Kind::kInteger || length.integer < 0 || stride.kind != Kind::kInteger ||
          stride.integer < 0)
        return refuse(Code::kCorrupt, "has a length or stride that is not a number from 0 on");
      const auto step = length.integer > 1 ? static_cast<std::uint64_t>(stride.integer) : 0;
      if (length.integer > 1) {
        std::uint64_t reach = 0;
        overflows |= __builtin_mul_overflow(step, static_cast<std::uint64_t>(length.integer) - 1, &reach);
        overflows |= __builtin_add_overflow(layout.last, reach, &layout.last);
        layout.is_contiguous &= step == layout.elements;
      }
      overflows |= __builtin_mul_overflow(layout.elements, static_cast<std::uint64_t>(length.integer),
                                          &layout.elements);
      layout.shape.insert(layout.shape.begin(), length.integer);
      layout.strides.insert(layout.strides.begin(), step);
    }
    if (overflows) return refuse(Code::kCorrupt, "has a shape or strides whose size overflows 64 bits");
    return layout;
  }

  Result<void> add_tensor(Layout layout, std::string_view dtype, std::size_t element_bytes,
                          std::span<const std::byte> storage) {
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(layout.elements, std::uint64_t{element_bytes}, &bytes) || bytes > bytes_left_)
      return refuse(Code::kInvalid, "repeats its storage so often that all tensors would have more than " +
                                        std::to_string(kTensorBytesPerFileByteMax) + " times the file's " +
                                        std::to_string(file_.bytes.size()) +
                                        " bytes: save it without expand()");
    bytes_left_ -= bytes;
    if (file_.tensors.size() == kTensorsMax)
      return refuse(Code::kInvalid, "is one more than the " + std::to_string(kTensorsMax) + " allowed");
    if (!names_.insert(name_).second)
      return refuse(Code::kInvalid, "is there twice: two ways through the dicts give one name");
    TensorBytes tensor{name_, std::string(dtype), std::move(layout.shape), {}};
    if (layout.elements > 0 && layout.is_contiguous) {
      tensor.bytes = storage.subspan(layout.offset * element_bytes, bytes);
    } else if (layout.elements > 0) {
      layout.shape = tensor.shape;
      file_.copies.push_back(copy_row_major(storage, layout, element_bytes));
      tensor.bytes = file_.copies.back().view();
    }
    file_.tensors.push_back(std::move(tensor));
    return {};
  }

  const Pickle& pickle_;
  const TorchStorages& storages_;
  TorchFile& file_;
  std::uint64_t bytes_left_;
  std::string name_;  // of the value being visited
  std::set<std::string> names_;
  std::size_t visits_ = 0;
  std::size_t calls_ = 0;  // that are being visited, one within the other
  std::size_t dropped_unnamed_ = 0;
};

}  // namespace

std::optional<StorageReference> storage_reference(const Pickle& pickle, PickleIndex index) {
  if (pickle.at(index).kind != Kind::kPersistent) return std::nullopt;
  const PickleValue& id = pickle.at(pickle.at(index).items.front());
  if (id.kind != Kind::kTuple || id.items.size() < 5) return std::nullopt;
  const PickleValue& tag = pickle.at(id.items[0]);
  const PickleValue& type = pickle.at(id.items[1]);
  const PickleValue& key = pickle.at(id.items[2]);
  const PickleValue& elements = pickle.at(id.items[4]);
  if (tag.kind != Kind::kText || tag.text != "storage" || type.kind != Kind::kGlobal ||
      key.kind != Kind::kText || elements.kind != Kind::kInteger || elements.integer < 0)
    return std::nullopt;
  const bool is_view = id.items.size() > 5 && pickle.at(id.items[5]).kind != Kind::kNone;
  return StorageReference{type.text, key.text, static_cast<std::uint64_t>(elements.integer), is_view};
}

std::optional<std::size_t> bytes_per_storage_element(std::string_view type) {
  if (type == kUntypedStorage) return 1;
  return bytes_per_element(dtype_of_storage(type));
}

Result<void> collect_tensors(const Pickle& pickle, const TorchStorages& storages, TorchFile& file) {
  return Collector(pickle, storages, file).collect();
}

}  // namespace paddock::storage
