#include "tests/storage/faulty_disk.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace paddock::storage {

// A file or a folder. `stored` is what a crash cannot take away.
struct FaultyDisk::Node {
  struct Change {
    std::string removed;  // "" none
    std::string added;    // "" none
    NodePtr node;
  };
  bool is_dir = false;
  bool is_read_only = false;                               // a folder
  std::int64_t modified = 0;                               // of a file
  std::vector<std::byte> seen, stored;                     // of a file
  std::map<std::string, NodePtr> entries, stored_entries;  // of a folder
  std::vector<Change> unsynced;                            // of a folder, in order

  static void apply(std::map<std::string, NodePtr>& to, const Change& change) {
    if (!change.removed.empty()) to.erase(change.removed);
    if (!change.added.empty()) to[change.added] = change.node;
  }
  void change(Change made) {
    apply(entries, made);
    unsynced.push_back(std::move(made));
  }
};

class FaultyDisk::Writing final : public WritableFile {
 public:
  Writing(FaultyDisk& disk, fs::path path, NodePtr node)
      : disk_(disk), path_(std::move(path)), node_(std::move(node)) {}

  Result<void> append(std::span<const std::byte> bytes) override {
    if (is_dead_) return fail(Code::kUnavailable, path_.string() + " is dead");
    auto goes_on = disk_.next_operation(path_);
    // A write that fails may have written something.
    const std::size_t written = goes_on ? bytes.size() : bytes.size() / 2;
    node_->seen.insert(node_->seen.end(), bytes.begin(),
                       bytes.begin() + static_cast<std::ptrdiff_t>(written));
    node_->modified = static_cast<std::int64_t>(disk_.operations_);
    is_dead_ = !goes_on;
    return goes_on;
  }
  Result<void> sync() override {
    if (is_dead_) return fail(Code::kUnavailable, path_.string() + " is dead");
    auto goes_on = disk_.next_operation(path_);
    if (goes_on) node_->stored = node_->seen;
    is_dead_ = !goes_on;
    return goes_on;
  }

 private:
  FaultyDisk& disk_;
  const fs::path path_;
  const NodePtr node_;
  bool is_dead_ = false;
};

class FaultyDisk::Reading final : public ReadableFile {
 public:
  Reading(FaultyDisk& disk, fs::path path, NodePtr node)
      : disk_(disk), path_(std::move(path)), node_(std::move(node)) {}
  std::uint64_t size() const override { return node_->seen.size(); }
  std::int64_t modified_ns() const override { return node_->modified; }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    TRY(disk_.next_read(path_), "reading");
    if (offset > size() || into.size() > size() - offset) return fail(Code::kCorrupt, "the file ends early");
    std::copy_n(node_->seen.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
    return {};
  }

 private:
  FaultyDisk& disk_;
  const fs::path path_;
  const NodePtr node_;
};

FaultyDisk::FaultyDisk() : root_(std::make_shared<Node>()) {
  root_->is_dir = true;
}
FaultyDisk::~FaultyDisk() = default;

Result<void> FaultyDisk::next_operation(const fs::path& path) {
  const std::uint64_t now = operations_++;
  if (crash_at_ && now >= *crash_at_) has_crashed_ = true;
  if (has_crashed_) return fail(Code::kUnavailable, path.string() + ": the machine is down");
  if (fail_at_ && now == *fail_at_) return fail(fail_code_, path.string() + ": drawn to fail");
  return {};
}

Result<void> FaultyDisk::next_read(const fs::path& path) {
  if (reads_to_fail_ == 0) return {};
  --reads_to_fail_;
  return fail(read_fail_code_, path.string() + ": drawn to fail");
}

void FaultyDisk::make_read_only(const fs::path& dir) {
  const NodePtr node = find(dir);
  PADDOCK_REQUIRE(node && node->is_dir, dir.string());
  node->is_read_only = true;
}

FaultyDisk::NodePtr FaultyDisk::find(const fs::path& path) const {
  NodePtr node = root_;
  for (const fs::path& name : path.relative_path()) {
    if (name.empty() || name == ".") continue;
    const auto found = node->entries.find(name.string());
    if (found == node->entries.end()) return nullptr;
    node = found->second;
  }
  return node;
}

FaultyDisk::NodePtr FaultyDisk::find_parent(const fs::path& path) const {
  return find(path.parent_path());
}

Result<std::unique_ptr<WritableFile>> FaultyDisk::create(const fs::path& path) {
  const NodePtr parent = find_parent(path);
  if (!parent) return fail(Code::kNotFound, path.string() + ": no such folder");
  if (parent->is_read_only) return fail(Code::kDenied, path.string() + ": a read-only folder");
  TRY(next_operation(path), "creating");
  const auto node = std::make_shared<Node>();
  node->modified = static_cast<std::int64_t>(operations_);
  parent->change({"", path.filename().string(), node});
  return std::make_unique<Writing>(*this, path, node);
}

Result<std::unique_ptr<ReadableFile>> FaultyDisk::open(const fs::path& path) {
  const NodePtr node = find(path);
  if (!node) return fail(Code::kNotFound, path.string() + ": no such file");
  if (node->is_dir) return fail(Code::kConflict, path.string() + ": is a folder");
  TRY(next_read(path), "opening");
  return std::make_unique<Reading>(*this, path, node);
}

Result<void> FaultyDisk::rename(const fs::path& from, const fs::path& to) {
  const NodePtr node = find(from);
  const NodePtr parent = find_parent(to);
  if (!node || !parent) return fail(Code::kNotFound, from.string() + ": cannot be renamed to " + to.string());
  PADDOCK_REQUIRE(parent == find_parent(from), from.string(), to.string());  // all we need
  const NodePtr target = find(to);
  if (target && target->is_dir && !target->entries.empty())
    return fail(Code::kConflict, to.string() + ": is a folder that is not empty");
  if (parent->is_read_only) return fail(Code::kDenied, to.string() + ": a read-only folder");
  TRY(next_operation(to), "renaming");
  parent->change({from.filename().string(), to.filename().string(), node});
  return {};
}

Result<void> FaultyDisk::make_dir(const fs::path& path) {
  if (const NodePtr node = find(path)) {
    if (node->is_dir) return {};
    return fail(Code::kConflict, path.string() + ": is a file");
  }
  const NodePtr parent = find_parent(path);
  if (!parent) return fail(Code::kNotFound, path.string() + ": no such folder");
  if (parent->is_read_only) return fail(Code::kDenied, path.string() + ": a read-only folder");
  TRY(next_operation(path), "making a folder");
  const auto node = std::make_shared<Node>();
  node->is_dir = true;
  parent->change({"", path.filename().string(), node});
  return {};
}

Result<void> FaultyDisk::sync_dir(const fs::path& path) {
  const NodePtr node = find(path);
  if (!node || !node->is_dir) return fail(Code::kNotFound, path.string() + ": no such folder");
  TRY(next_operation(path), "syncing a folder");
  node->stored_entries = node->entries;
  node->unsynced.clear();
  return {};
}

Result<void> FaultyDisk::remove_tree(const NodePtr& parent, const std::string& name, const fs::path& path) {
  const NodePtr node = parent->entries.at(name);
  const auto inside = node->entries;
  for (const auto& [inner, _] : inside) {
    TRY(remove_tree(node, inner, path / inner), "removing");
  }
  TRY(next_operation(path), "removing");
  parent->change({name, "", nullptr});
  return {};
}

Result<void> FaultyDisk::remove_all(const fs::path& path) {
  if (!find(path)) return {};
  if (find_parent(path)->is_read_only) return fail(Code::kDenied, path.string() + ": a read-only folder");
  return remove_tree(find_parent(path), path.filename().string(), path);
}

Result<bool> FaultyDisk::exists(const fs::path& path) {
  return find(path) != nullptr;
}

Result<FileFacts> FaultyDisk::look(const fs::path& path) {
  const NodePtr node = find(path);
  if (!node) return fail(Code::kNotFound, path.string() + ": no such file");
  return FileFacts{.kind = node->is_dir ? FileFacts::Kind::kFolder : FileFacts::Kind::kFile,
                   .bytes = node->seen.size(),
                   .modified_ns = node->modified,
                   .device = 1,
                   .inode = reinterpret_cast<std::uintptr_t>(node.get())};
}

Result<std::vector<std::string>> FaultyDisk::list(const fs::path& dir) {
  const NodePtr node = find(dir);
  if (!node || !node->is_dir) return fail(Code::kNotFound, dir.string() + ": no such folder");
  std::vector<std::string> names;
  for (const auto& [name, _] : node->entries) names.push_back(name);
  return names;
}

// What is left of a node after a crash; only what is reachable by stored names counts.
void FaultyDisk::settle(Node& node, Draws& draws) {
  if (!node.is_dir) {
    const std::uint64_t synced = std::min(node.stored.size(), node.seen.size());
    const std::uint64_t kept = synced + draws.below(node.seen.size() - synced + 1);
    node.seen.resize(kept);
    if (kept > synced && draws.below(2) == 0)  // a sector that was being written
      for (std::uint64_t at = synced + draws.below(kept - synced); at < kept; ++at)
        node.seen[at] = std::byte{0};
    node.stored = node.seen;
    return;
  }
  const std::uint64_t mood = draws.below(3);  // all lost, all kept, or each for itself
  for (const Node::Change& change : node.unsynced)
    if (mood == 1 || (mood == 2 && draws.below(2) == 0)) Node::apply(node.stored_entries, change);
  node.unsynced.clear();
  node.entries = node.stored_entries;
  for (const auto& [_, inner] : node.entries) settle(*inner, draws);
}

void FaultyDisk::restart(std::uint64_t seed) {
  Draws draws(seed, 0, Purpose::kSplit);
  settle(*root_, draws);
  has_crashed_ = false;
  crash_at_.reset();
  fail_at_.reset();
}

void FaultyDisk::flip_bit(const fs::path& path, std::uint64_t bit) {
  const NodePtr node = find(path);
  PADDOCK_REQUIRE(node && bit / 8 < node->seen.size(), path.string(), bit);
  node->seen[bit / 8] ^= std::byte{1} << (bit % 8);
  node->stored = node->seen;
}

void FaultyDisk::truncate(const fs::path& path, std::uint64_t bytes) {
  const NodePtr node = find(path);
  PADDOCK_REQUIRE(node && bytes <= node->seen.size(), path.string(), bytes);
  node->seen.resize(bytes);
  node->modified = static_cast<std::int64_t>(++operations_);
  node->stored = node->seen;
}

}  // namespace paddock::storage
