// storage/tar_pictures.h – which members of a tar are the pictures of samples, by webdataset's naming. A name
// is split at the first dot of its last part into KEY and EXTENSION; members of one KEY are one sample,
// wherever in the tar they stand. Its picture is the member with the extension png, or else jpg, or else
// jpeg; capitals are as small letters. Where a KEY has none of these, every member whose name ends in one of
// them is a sample of its own, so that dots in the names of plain pictures do no harm. Names that begin with
// a dot are nobody's.
// Source: the webdataset format's description (github.com/webdataset/webdataset). Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/tar_reader.h"

namespace paddock::storage {

struct TarPictures {
  std::vector<std::size_t> members;  // of TarContents, in their order
  std::uint64_t passed_over = 0;     // members and others that belong to no sample
  std::string first_passed_over;
};

TarPictures pictures_of(const TarContents& contents);

// Whether a file of that name is a picture: it ends in .png, .jpg or .jpeg in any capitals, and its last part
// doesn't begin with a dot.
bool is_picture_name(std::string_view name);

}  // namespace paddock::storage
