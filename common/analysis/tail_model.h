// TailModel: how unusual a number is among the numbers a stream has shown before, as a tail probability that means the
// same for every stream.
//
// The stream is cut into blocks of kBlockSamples numbers; the greatest of each block is kept, for the last kBlocks
// blocks. Whatever the numbers' own distribution, such maxima follow a generalised extreme value (GEV) distribution in
// the limit (Fisher, Tippett, 1928; Coles, "An Introduction to Statistical Modeling of Extreme Values", 2001), whose
// three parameters are taken from their probability-weighted moments (Hosking, Wallis, Wood, Technometrics 27, 1985):
// a fit without iteration that a few outliers do not carry away. The shape is held between Gumbel's (light tails) and
// one whose variance is finite, as three dozen maxima do not tell it well.
#pragma once

#include <array>
#include <cstdint>

namespace pulseboard {

// Not thread-safe. Holds sizeof(TailModel) bytes and nothing else.
class TailModel {
 public:
  static constexpr int kBlockSamples = 16;
  static constexpr int kBlocks = 256;
  // Before so many blocks are full, nothing is unusual.
  static constexpr int kLeastBlocks = 8;
  // What Surprise() is cut at: a thousandth of a thousandth, far beyond what the history can tell.
  static constexpr double kGreatestSurprise = 6;

  // -log10 of the probability that the greatest number of a block is `value` or more; 0..kGreatestSurprise, 0 while
  // too little is known. `value` is finite.
  double Surprise(double value) const;
  // Takes `value` into the history. Finite.
  void Learn(double value);

 private:
  void CloseBlock();
  void Fit();

  std::array<float, kBlocks> maxima_{};   // by slot, the oldest is overwritten
  std::array<uint8_t, kBlocks> order_{};  // slots by ascending maximum
  int blocks_ = 0;                        // at most kBlocks
  int next_slot_ = 0;
  int in_block_ = 0;
  float block_maximum_ = 0;
  bool fitted_ = false;
  double location_ = 0;
  double scale_ = 1;
  double shape_ = 0;  // Hosking's k: 0 is Gumbel, below it the upper tail is heavy
};

}  // namespace pulseboard
