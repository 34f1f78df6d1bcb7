#include "data/filter_row.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define PADDOCK_HAS_AVX2_FORM 1
#include <immintrin.h>
#endif

namespace paddock::data {
namespace {

#ifdef PADDOCK_HAS_AVX2_FORM
// Two taps a step: lanes are red, green, blue and nothing of one pixel, then of the next.
__attribute__((target("avx2"))) void filter_row_avx2(const std::uint8_t* row, const Taps& taps,
                                                     std::uint8_t* to) {
  const __m128i spread = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m128i half = _mm_set1_epi32(kHalf);
  const __m256i twice = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
  for (std::size_t x = 0; x < taps.ranges.size(); ++x, to += 3) {
    const Taps::Range range = taps.ranges[x];
    const std::uint8_t* from = row + 3 * static_cast<std::size_t>(range.first);
    const std::int32_t* weights = taps.of(static_cast<int>(x));
    __m256i sums = _mm256_setzero_si256();
    for (int t = 0; t < range.count; t += 2, from += 6, weights += 2) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
      const __m256i values = _mm256_cvtepu8_epi32(_mm_shuffle_epi8(bytes, spread));
      const __m256i pair = _mm256_castsi128_si256(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(weights)));
      sums = _mm256_add_epi32(sums, _mm256_mullo_epi32(values, _mm256_permutevar8x32_epi32(pair, twice)));
    }
    const __m128i both = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    const __m128i shifted = _mm_srai_epi32(_mm_add_epi32(both, half), kFractionBits);
    // To 16 bits, then 8, cut off at both ends: 0 … 255.
    const int pixel =
        _mm_cvtsi128_si32(_mm_packus_epi16(_mm_packs_epi32(shifted, shifted), _mm_setzero_si128()));
    to[0] = static_cast<std::uint8_t>(pixel);
    to[1] = static_cast<std::uint8_t>(pixel >> 8);
    to[2] = static_cast<std::uint8_t>(pixel >> 16);
  }
}
#endif

}  // namespace

void filter_row_reference(const std::uint8_t* row, const Taps& taps, std::uint8_t* to) {
  for (std::size_t x = 0; x < taps.ranges.size(); ++x, to += 3) {
    const Taps::Range range = taps.ranges[x];
    const std::uint8_t* from = row + 3 * static_cast<std::size_t>(range.first);
    const std::int32_t* weights = taps.of(static_cast<int>(x));
    std::int32_t red = kHalf, green = kHalf, blue = kHalf;
    for (int t = 0; t < range.count; ++t, from += 3) {
      red += from[0] * weights[t];
      green += from[1] * weights[t];
      blue += from[2] * weights[t];
    }
    to[0] = to_pixel(red);
    to[1] = to_pixel(green);
    to[2] = to_pixel(blue);
  }
}

void filter_row(const std::uint8_t* row, const Taps& taps, std::uint8_t* to) {
#ifdef PADDOCK_HAS_AVX2_FORM
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2) return filter_row_avx2(row, taps, to);
#endif
  filter_row_reference(row, taps, to);
}

}  // namespace paddock::data
