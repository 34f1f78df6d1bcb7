#include "storage/tar_set.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "storage/hash.h"
#include "storage/name_table.h"
#include "storage/open_files.h"
#include "storage/tar_index.h"
#include "storage/tar_pictures.h"

namespace paddock::storage {

struct TarSet::State {
  struct Tar {
    std::string name;
    std::uint64_t bytes = 0;
    std::int64_t modified_ns = 0;
  };
  struct Picture {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::array<char, 32> hash{};  // all NUL: the tar ends before it does
    std::uint32_t tar = 0;
  };
  Disk* disk = nullptr;
  fs::path dir;
  std::vector<Tar> tars;
  std::vector<Picture> pictures;
  NameTable names;
  std::string hash;
  std::uint64_t passed_over = 0;
  std::string first_passed_over;
  mutable OpenFiles files;

  fs::path spare(std::size_t number, const TarSetOptions& options) const {
    if (options.spare_dir.empty()) return {};
    return options.spare_dir / (tars[number].name + kTarIndexSuffix);
  }

  void load(std::size_t number, const TarIndex& index, Hasher& identity) {
    tars[number].bytes = index.bytes;
    tars[number].modified_ns = index.modified_ns;
    for (const TarMember& member : index.contents.members)
      identity.update(member.name + '\0' + std::to_string(member.bytes) + ' ' + member.hash + '\n');
    identity.update("\n");  // samples do not reach from one tar into the next
    const TarPictures found = pictures_of(index.contents);
    for (const std::size_t i : found.members) {
      const TarMember& member = index.contents.members[i];
      Picture picture{
          .offset = member.offset, .bytes = member.bytes, .tar = static_cast<std::uint32_t>(number)};
      std::copy(member.hash.begin(), member.hash.end(), picture.hash.begin());
      pictures.push_back(picture);
      names.add(member.name);
    }
    if (found.passed_over > 0 && passed_over == 0)
      first_passed_over = tars[number].name + "/" + found.first_passed_over;
    passed_over += found.passed_over;
  }

  Result<OpenFiles::File> open_tar(std::size_t number) const {
    const Tar& tar = tars[number];
    TRY_ASSIGN(OpenFiles::File file, disk->open(dir / tar.name), "reading");
    if (file->size() != tar.bytes || file->modified_ns() != tar.modified_ns)
      return fail(Code::kConflict, (dir / tar.name).string() +
                                       " was changed since this set was opened: the run has lost what it was "
                                       "learning from; put the tar back, or give a new run another folder");
    return file;
  }

  std::string key(std::uint64_t i) const { return tars[pictures[i].tar].name + "/" + std::string(names[i]); }
};

TarSet::TarSet(std::unique_ptr<State> state) : state_(std::move(state)) {}
TarSet::~TarSet() = default;
TarSet::TarSet(TarSet&&) noexcept = default;
TarSet& TarSet::operator=(TarSet&&) noexcept = default;

Result<TarSet> TarSet::open(Disk& disk, const fs::path& dir, const std::vector<std::string>& names,
                            const TarSetOptions& options) {
  PADDOCK_REQUIRE(options.part < options.parts, options.part, options.parts);
  auto state = std::make_unique<State>();
  state->disk = &disk;
  state->dir = dir;
  for (const std::string& name : names) state->tars.push_back({.name = name});
  // Its own part first: what comes before will then have been indexed by others.
  for (std::size_t number = names.size() * options.part / options.parts; number < names.size(); ++number) {
    const fs::path tar = dir / names[number], spare = state->spare(number, options);
    if (options.part > 0 && !seems_indexed(disk, tar, spare))
      TRY(open_tar_index(disk, tar, spare), "opening tar files");
  }
  Hasher identity;
  identity.update("paddock-tars 1\n");
  for (std::size_t number = 0; number < names.size(); ++number) {
    TRY_ASSIGN(const TarIndex index, open_tar_index(disk, dir / names[number], state->spare(number, options)),
               "opening tar files");
    state->load(number, index, identity);
    if (options.progress) options.progress(number + 1, names.size());
  }
  state->hash = identity.hex();
  return TarSet(std::move(state));
}

std::uint64_t TarSet::size() const {
  return state_->pictures.size();
}

std::string TarSet::key(std::uint64_t i) const {
  PADDOCK_REQUIRE(i < size(), i, size());
  return state_->key(i);
}

Result<SampleAbout> TarSet::about(std::uint64_t i) const {
  PADDOCK_REQUIRE(i < size(), i, size());
  return SampleAbout{state_->key(i), first_folder(std::string(state_->names[i]))};
}

Result<Bytes> TarSet::read_picture(std::uint64_t i) const {
  PADDOCK_REQUIRE(i < size(), i, size());
  const State::Picture& picture = state_->pictures[i];
  if (picture.hash.front() == '\0')
    return fail(Code::kCorrupt, "the tar ends before this member does: fetch or write it again");
  if (picture.bytes > kPictureBytesMax)
    return fail(Code::kInvalid, "it has " + std::to_string(picture.bytes) + " bytes: no picture has so many");
  TRY_ASSIGN(const auto file, state_->files.get(picture.tar, [&] { return state_->open_tar(picture.tar); }),
             "reading " + state_->key(i));
  Bytes bytes(picture.bytes);
  if (auto read = file->read_at(picture.offset, bytes.writable()); !read) {
    state_->files.forget(picture.tar);
    return tl::unexpected(read.error().within("reading " + state_->key(i)));
  }
  if (xxh3_hex(bytes.view()) != std::string_view(picture.hash.data(), picture.hash.size()))
    return fail(Code::kCorrupt,
                "its bytes are others than when its tar was indexed, under the same size and time of change: "
                "restore the tar, or remove its index");
  return bytes;
}

const std::string& TarSet::hash() const {
  return state_->hash;
}

std::uint64_t TarSet::passed_over() const {
  return state_->passed_over;
}

const std::string& TarSet::first_passed_over() const {
  return state_->first_passed_over;
}

}  // namespace paddock::storage
