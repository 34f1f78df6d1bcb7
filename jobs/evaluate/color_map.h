// jobs/evaluate/color_map.h – numbers on a grid as small pictures. Threads: pure functions.
#pragma once

#include <span>
#include <vector>

#include "data/image.h"

namespace paddock::evaluate {

// A grid of `columns` × values/columns cells, smallest dark, largest bright (viridis), one pixel a cell. Each
// call spans its own minimum and maximum; a constant grid is dark.
data::Image heat_map(std::span<const float> values, int columns);

// Pictures of one height beside each other, `gap` white pixels between.
data::Image beside(const std::vector<data::Image>& pictures, int gap);

// Pictures of one width below each other, `gap` white rows between.
data::Image below(const std::vector<data::Image>& pictures, int gap);

// Each pixel as factor × factor pixels.
data::Image enlarged(const data::Image& picture, int factor);

// width × height pixels, each that of `picture` in which its corner lies: no colours are mixed.
data::Image stretched(const data::Image& picture, int width, int height);

}  // namespace paddock::evaluate
