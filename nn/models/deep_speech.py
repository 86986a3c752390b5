"""A recogniser of speech in the style of DeepSpeech: from the spectrogram to letters, without an alignment of the two.

Hannun et al. 2014, "Deep Speech: scaling up end-to-end speech recognition", section 2: three layers with clipped rectifiers, the
first of which sees some frames around its own, a bidirectional recurrent layer, one more layer, and the CTC loss. The recurrent
layer is an LSTM here, as in later versions. What it hears can be generated: `tones` speaks each letter as a tone of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nn import functional, init
from nn.convolution import Conv1d
from nn.linear import Linear
from nn.module import Module
from nn.recurrent import LSTM
from nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

__all__ = ["DeepSpeech", "spectrogram", "tones"]

BLANK = 0


def spectrogram(signal: Any, frame: int = 64, hop: int = 32) -> Any:
    """log(1 + power) of each frequency in each frame of a signal, with a Hann window.

    signal   (..., samples)
    frame    samples in a frame
    hop      from the beginning of one frame to that of the next
    returns  (..., frames, frame // 2 + 1)
    """
    if signal.shape[-1] < frame:
        raise ValueError(f"spectrogram: a signal of {signal.shape[-1]} samples is shorter than a frame, which has {frame}")
    frames = np.lib.stride_tricks.sliding_window_view(signal, frame, axis=-1)[..., ::hop, :]
    spectrum = np.fft.rfft(frames * np.hanning(frame).astype(signal.dtype), axis=-1)
    return np.log1p(spectrum.real**2 + spectrum.imag**2).astype(signal.dtype)


def tones(count: int, letters: int = 4, longest: int = 4, noise: float = 0.1, generator: init.Seed = None) -> tuple[Any, Any, Any, Any]:
    """Sayings to recognise: each letter, from 1 on, is a tone of its own, of random length and loudness, with silence between.

    returns  spectrograms (count, frames, 33), how many frames count, letters (count, longest) filled with 0, and how many letters count
    """
    if count < 1 or letters < 1 or longest < 1:
        raise ValueError(f"tones: count={count}, letters={letters} and longest={longest} must be at least 1")
    random = init.as_generator(generator)
    lengths = random.integers(1, longest + 1, count)
    targets = np.where(np.arange(longest) < lengths[:, None], random.integers(1, letters + 1, (count, longest)), 0)
    signals = []
    for said, length in zip(targets, lengths, strict=True):
        parts = [np.zeros(random.integers(32, 128))]
        for letter in said[:length]:
            time = np.arange(random.integers(160, 256))
            pitch = 0.5 * letter / (letters + 1)  # in cycles per sample; a half is the highest
            parts += [random.uniform(0.5, 1) * np.sin(2 * np.pi * (pitch * time + random.random())), np.zeros(random.integers(32, 128))]
        signals.append(np.concatenate(parts))
    samples = np.array([len(signal) for signal in signals])
    padded = np.stack([np.pad(signal, (0, samples.max() - len(signal))) for signal in signals])
    padded += random.normal(0, noise, padded.shape)
    return spectrogram(padded.astype(np.float32)), (samples - 64) // 32 + 1, targets, lengths


class DeepSpeech(Module):
    """Logarithms of the probabilities of letters in each frame; class 0 is the blank.

    input_size   numbers in a frame of the spectrogram
    num_classes  letters, and the blank
    hidden_size  width of all layers
    context      how many frames on both sides the first layer sees
    call         (batch, frames, input_size), and how many frames of each count, to ((frames, batch, num_classes), these numbers),
                 which is what `nn.functional.ctc_loss` takes

    >>> import numpy as np, nn
    >>> x, frames, letters, lengths = nn.models.tones(3, generator=0)
    >>> model = nn.models.DeepSpeech(33, 5, 16)
    >>> model.loss(model(x, frames), letters, lengths).shape
    ()
    """

    def __init__(self, input_size: int, num_classes: int, hidden_size: int = 64, context: int = 2, dtype: Any = np.float32) -> None:
        self.listen = Conv1d(input_size, hidden_size, 2 * context + 1, padding=context, dtype=dtype)
        self.layer2 = Linear(hidden_size, hidden_size, dtype=dtype)
        self.layer3 = Linear(hidden_size, hidden_size, dtype=dtype)
        self.rnn = LSTM(hidden_size, hidden_size, batch_first=True, bidirectional=True, dtype=dtype)
        self.layer5 = Linear(2 * hidden_size, hidden_size, dtype=dtype)
        self.head = Linear(hidden_size, num_classes, dtype=dtype)

    def forward(self, frames: Any, lengths: Any = None) -> tuple[Any, Any]:
        if len(frames.shape) != 3:
            raise ValueError(f"DeepSpeech: a spectrogram of shape {frames.shape}; expected (batch, frames, {self.listen.in_channels})")
        x = _clipped(self.listen(frames.transpose((0, 2, 1)))).transpose((0, 2, 1))
        x = _clipped(self.layer3(_clipped(self.layer2(x))))
        if lengths is None:
            x, _ = self.rnn(x)
        else:  # what follows the end of a saying must not be heard, and the layer reads from there too
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            x, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=frames.shape[1])
        log_probs = functional.log_softmax(self.head(_clipped(self.layer5(x))), axis=-1)
        return log_probs.transpose((1, 0, 2)), np.full(frames.shape[0], frames.shape[1]) if lengths is None else lengths

    def loss(self, prediction: tuple[Any, Any], targets: Any, target_lengths: Any) -> Any:
        """The CTC loss of what the model returned: for `nn.fit(..., model.loss, ..., targets=2)`."""
        log_probs, lengths = prediction
        return functional.ctc_loss(log_probs, targets, lengths, target_lengths, blank=BLANK)

    def transcribe(self, frames: Any, lengths: Any = None) -> list[list[int]]:
        """The letters of each saying: of the likeliest class in each frame, repetitions once, and no blanks."""
        log_probs, lengths = self(frames, lengths)
        best = np.asarray(log_probs.data).argmax(axis=-1).T
        return [_collapsed(classes[:length]) for classes, length in zip(best, lengths, strict=True)]


def _clipped(x: Any) -> Any:
    return functional.hardtanh(x, 0.0, 20.0)


def _collapsed(classes: Any) -> list[int]:
    changes = np.concatenate(([True], classes[1:] != classes[:-1]))
    return [int(c) for c in classes[changes] if c != BLANK]
