"""Models that read sequences, make things up, or act: each learns something in a moment, and its parts are what they should be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from nn import functional, models

# --- sequences -----------------------------------------------------------------------------------------------------------------------


def rising_or_falling(samples: int, random: np.random.Generator) -> tuple[Any, Any, Any]:
    """Noisy lines of different lengths, padded with noise that must not count."""
    classes = random.integers(0, 2, samples)
    lengths = random.integers(6, 13, samples)
    slopes = np.where(classes, 1, -1)[:, None] * np.linspace(0, 2, 12)
    x = random.normal(0, 0.5, (samples, 12)) + np.where(np.arange(12) < lengths[:, None], slopes, 50 * random.normal(size=(samples, 12)))
    return x[..., None].astype(np.float32), lengths, classes


@pytest.mark.parametrize("kind", [models.LSTMClassifier, models.GRUClassifier])
def test_a_recurrent_classifier_learns_from_sequences_of_different_lengths(kind: Any) -> None:
    nn.manual_seed(0)
    random = np.random.default_rng(0)
    model = kind(1, 12, 2, bidirectional=True, num_layers=2, dropout=0.1)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    history = nn.fit(
        model,
        rising_or_falling(200, random),
        nn.CrossEntropyLoss(),
        optimizer,
        epochs=6,
        metrics="accuracy",
        validation=rising_or_falling(100, random),
        seed=0,
        progress=False,
    )
    assert history["validation_accuracy"][-1] > 0.95


@pytest.mark.parametrize("kind", [models.LSTMClassifier, models.GRUClassifier])
def test_a_recurrent_classifier_is_torchs_layers_together(kind: Any, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    model = kind(3, 5, 4, bidirectional=True, dtype=np.float64).eval()
    name = "LSTM" if kind is models.LSTMClassifier else "GRU"
    rnn = getattr(torch.nn, name)(3, 5, batch_first=True, bidirectional=True, dtype=torch.float64)
    head = torch.nn.Linear(10, 4, dtype=torch.float64)
    rnn.load_state_dict(nn.to_torch(model.rnn.state_dict()))
    head.load_state_dict(nn.to_torch(model.head.state_dict()))
    x, lengths = rng.normal(size=(4, 6, 3)), np.array([6, 2, 5, 1])
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    _, state = rnn(packed)
    last = state[0] if name == "LSTM" else state
    np.testing.assert_allclose(model(x, lengths).detach().numpy(), head(torch.cat([last[0], last[1]], 1)).detach().numpy(), atol=1e-10)


def test_a_char_rnn_learns_a_rhyme_and_writes_it() -> None:
    text = "row row row your boat gently down the stream; " * 12
    letters = nn.data.Characters(text)
    x, y = nn.data.sequences(letters.encode(text), 20, stride=7)
    nn.manual_seed(1)
    model = models.CharRNN(len(letters), 12, 48)

    def loss(logits: Any, following: Any) -> Any:
        return functional.cross_entropy(logits.reshape((-1, len(letters))), following.reshape(-1))

    history = nn.fit(model, (x, y), loss, optim.Adam(model.parameters(), lr=0.02), epochs=25, batch_size=16, clip=1.0, seed=0, progress=False)
    assert history["loss"][-1] < 0.3
    written = letters.decode(model.sample(letters.encode("gently ")[None], 30, temperature=0)[0])
    assert written == "gently down the stream; row row row y"[: len(written)]


def test_sampling_carries_the_state_and_follows_the_temperature() -> None:
    model = models.CharRNN(7, 4, 8, num_layers=2, dropout=0.5)
    start = np.array([[1, 2], [3, 4]])
    taken = model.sample(start, 6, temperature=0)
    assert model.training
    model.eval()
    for length in range(2, 8):  # each token is the likeliest after all of those before it
        expected = model(taken[:, :length]).detach().numpy()[:, -1].argmax(axis=1)
        np.testing.assert_array_equal(taken[:, length], expected)
    samples = [model.sample(start, 6, temperature=2.0, generator=seed).tolist() for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2]
    with pytest.raises(ValueError, match=r"tokens of shape \(2, 0\), temperature=1.0; expected"):
        model.sample(start[:, :0], 3)


# --- speech --------------------------------------------------------------------------------------------------------------------------


def test_a_spectrogram_shows_a_tone_at_its_frequency_and_has_a_gradient(rng: np.random.Generator) -> None:
    time = np.arange(640)
    shown = models.spectrogram(np.sin(2 * np.pi * 0.25 * time))
    assert shown.shape == (19, 33)
    assert (shown.argmax(axis=1) == 16).all()
    ag.gradcheck(lambda signal: models.spectrogram(signal, frame=8, hop=4), rng.normal(size=(2, 21)))
    with pytest.raises(ValueError, match="a signal of 10 samples is shorter than a frame, which has 64"):
        models.spectrogram(np.zeros(10))


def test_deep_speech_learns_to_write_down_tones() -> None:
    nn.manual_seed(0)
    data = models.tones(320, letters=2, longest=2, noise=0.02, generator=0)
    model = models.DeepSpeech(33, 3, 32)
    optimizer = optim.Adam(model.parameters(), lr=5e-3)
    history = nn.fit(model, data, model.loss, optimizer, epochs=16, batch_size=16, targets=2, clip=5.0, seed=0, progress=False)
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    frames, lengths, letters, counts = models.tones(40, letters=2, longest=2, noise=0.02, generator=1)
    heard = model.eval().transcribe(frames, lengths)
    said = [row[:count].tolist() for row, count in zip(letters, counts, strict=True)]
    assert sum(a == b for a, b in zip(heard, said, strict=True)) >= 34


def test_what_follows_the_end_of_a_saying_is_not_heard() -> None:
    frames, lengths, _, _ = models.tones(4, generator=0)
    model = models.DeepSpeech(33, 5, 8, context=0)
    changed = frames.copy()
    for i, length in enumerate(lengths):
        changed[i, length:] = 9.0
    for a, b, length in zip(*(model(x, lengths)[0].detach().numpy().transpose((1, 0, 2)) for x in (frames, changed)), lengths, strict=True):
        np.testing.assert_array_equal(a[:length], b[:length])


def test_repeated_letters_are_collapsed_unless_a_blank_is_between() -> None:
    from nn.models.deep_speech import _collapsed

    assert _collapsed(np.array([0, 1, 1, 0, 1, 2, 2, 0, 0])) == [1, 1, 2]
    assert _collapsed(np.array([0, 0])) == []


# --- codes ---------------------------------------------------------------------------------------------------------------------------


def test_an_autoencoder_finds_the_plane_that_data_lies_on(rng: np.random.Generator) -> None:
    x = (rng.normal(size=(300, 2)) @ rng.normal(size=(2, 10))).astype(np.float32)
    model = models.Autoencoder(10, 16, 2, activation="tanh", generator=0)
    history = nn.fit(model, x, nn.MSELoss(), optim.Adam(model.parameters(), lr=0.01), epochs=40, seed=0, progress=False)
    assert history["loss"][-1] < 0.1 * float(x.var())
    assert model.encode(x).shape == (300, 2)


def test_the_bound_of_a_variational_autoencoder_is_that_of_its_paper(rng: np.random.Generator) -> None:
    model = models.VariationalAutoencoder(6, 8, 3, dtype=np.float64, generator=0).eval()
    x = rng.random((5, 6))
    output = model(x)
    mean, variance = output.mean.data, np.exp(output.log_variance.data)
    p = 1 / (1 + np.exp(-output.logits.data))
    reconstruction = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1)
    divergence = -0.5 * (1 + np.log(variance) - mean**2 - variance).sum(axis=1)
    np.testing.assert_allclose(model.loss(output, x).item(), (reconstruction + divergence).mean(), rtol=1e-12)
    np.testing.assert_array_equal(output.logits.data, model.decoder(output.mean).data)  # no noise in evaluation


def test_a_variational_autoencoder_learns_bars_and_makes_up_others() -> None:
    nn.manual_seed(0)
    places = np.random.default_rng(0).integers(0, 8, 400)
    x = np.eye(8, dtype=np.float32)[places].repeat(2, axis=1)
    model = models.VariationalAutoencoder(16, 32, 2, generator=0)
    history = nn.fit(model, x, model.loss, optim.Adam(model.parameters(), lr=0.02), epochs=30, seed=0, progress=False)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    seen_again = model.eval()(x).logits.data.reshape((400, 8, 2)).sum(axis=2).argmax(axis=1)
    assert (seen_again == places).mean() > 0.95
    made_up = model.generate(200, generator=0).numpy()
    assert made_up.shape == (200, 16)
    assert (made_up.max(axis=1) > 0.5).mean() > 0.6  # clear bars, not the mean of all


def test_a_gan_learns_where_data_lies() -> None:
    random = np.random.default_rng(0)
    model = models.GAN(4, 24, 24, 2, seed=0)
    of_generator = optim.Adam(model.generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    of_discriminator = optim.Adam(model.discriminator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    center = np.array([2.0, -1.0])
    before = np.linalg.norm(model.generate(500).detach().numpy().mean(axis=0) - center)
    for _ in range(600):
        model.step((center + 0.5 * random.normal(size=(64, 2))).astype(np.float32), of_generator, of_discriminator)
    made_up = model.generate(500).detach().numpy()
    assert np.linalg.norm(made_up.mean(axis=0) - center) < min(0.5, 0.3 * before)
    assert (made_up.std(axis=0) > 0.1).all()


def test_the_losses_of_a_gan_are_those_of_its_paper_and_the_discriminators_teaches_no_generator(rng: np.random.Generator) -> None:
    model = models.GAN(2, 8, 3, dtype=np.float64, seed=0)
    real, made_up = rng.normal(size=(6, 3)), model.generate(6)

    def judged(x: Any) -> Any:
        return 1 / (1 + np.exp(-model.discriminator(x).data))

    loss = model.discriminator_loss(real, made_up)
    np.testing.assert_allclose(loss.item(), -np.log(judged(real)).mean() - np.log(1 - judged(made_up)).mean(), rtol=1e-12)
    loss.backward()
    assert all(p.grad is None for p in model.generator.parameters())
    np.testing.assert_allclose(model.generator_loss(made_up).item(), -np.log(judged(made_up)).mean(), rtol=1e-12)


# --- actions -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [0, 1])
def test_cart_and_pole_obey_newton(action: int, rng: np.random.Generator) -> None:
    world = models.CartPole(0)
    for _ in range(20):
        world.state = tuple(rng.normal(0, 0.3, 4).tolist())
        position, velocity, angle, turning = world.state
        masses, lever = world.cart_mass + world.pole_mass, world.pole_mass * world.half_length
        force = (10.0 if action else -10.0) + lever * turning**2 * math.sin(angle)
        # The equations of motion before they are solved for the accelerations: of the whole, and of the rod about its joint.
        matrix = [[masses, lever * math.cos(angle)], [lever * math.cos(angle), 4 / 3 * lever * world.half_length]]
        acceleration, turn = np.linalg.solve(matrix, [force, lever * world.gravity * math.sin(angle)])
        seen = world.step(action)[0]
        expected = [position + 0.02 * velocity, velocity + 0.02 * acceleration, angle + 0.02 * turning, turning + 0.02 * turn]
        np.testing.assert_allclose(seen, expected, rtol=1e-6)


def test_an_episode_ends_when_the_pole_has_fallen_or_the_time_is_over() -> None:
    world = models.CartPole(0, longest=3)
    world.reset()
    assert [world.step(i % 2)[3] for i in range(3)] == [False, False, True]
    world = models.CartPole(0)
    world.reset()
    ends = [world.step(1)[2] for _ in range(12)]
    assert ends[0] is False
    assert ends[-1] is True


def test_what_makes_no_sense_to_a_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"LSTMClassifier: input of shape \(5, 4\); expected \(batch, length, 4\)"):
        models.LSTMClassifier(4, 8, 2)(np.ones((5, 4), np.float32))
    with pytest.raises(ValueError, match=r"DeepSpeech: a spectrogram of shape \(5, 4\); expected \(batch, frames, 4\)"):
        models.DeepSpeech(4, 3, 2)(np.ones((5, 4), np.float32))
    with pytest.raises(ValueError, match="count=0"):
        models.tones(0)
    with pytest.raises(ValueError, match="there is nothing to remember yet"):
        models.ReplayMemory(3, 2).sample(1, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"an action is 0 .* or 1 .*, not 2"):
        models.CartPole(0).step(2)


def test_the_memory_forgets_the_oldest_steps() -> None:
    memory = models.ReplayMemory(3, 1)
    for i in range(5):
        memory.add([i], i, i, [i + 1], False)
    assert len(memory) == 3
    assert set(memory.sample(50, np.random.default_rng(0))["action"].tolist()) == {2, 3, 4}


def test_the_loss_of_a_deep_q_network_is_that_of_its_paper(rng: np.random.Generator) -> None:
    network = models.DeepQNetwork(4, 8, 2, discount=0.9, dtype=np.float64, seed=0)
    for p in network.target.parameters():
        p.data[...] += 0.1
    steps = {"seen": rng.normal(size=(6, 4)), "action": rng.integers(0, 2, 6), "reward": rng.normal(size=6), "next": rng.normal(size=(6, 4))}
    steps["ended"] = np.array([0, 1, 0, 0, 1, 0], bool)
    best = network.target(steps["next"]).data.max(axis=1)
    errors = network.online(steps["seen"]).data[np.arange(6), steps["action"]] - (steps["reward"] + 0.9 * best * ~steps["ended"])
    loss = network.loss(steps)
    np.testing.assert_allclose(loss.item(), np.where(abs(errors) < 1, 0.5 * errors**2, abs(errors) - 0.5).mean(), rtol=1e-6)
    loss.backward()
    assert all(p.grad is None for p in network.target.parameters())
    assert {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None} == {"online"}


def test_a_deep_q_network_learns_to_balance_the_pole() -> None:
    network = models.DeepQNetwork(4, 64, 2, seed=1)
    world = models.CartPole(1, longest=200)
    before = np.mean([network.play(world) for _ in range(5)])
    network.train_on(
        world,
        optim.Adam(network.online.parameters(), lr=2e-3),
        4000,
        models.ReplayMemory(4000, 4),
        explore=lambda step: max(0.05, 1 - step / 1500),
        renew_every=100,
    )
    after = np.mean([network.play(world) for _ in range(5)])
    assert before < 60
    assert after > 100
