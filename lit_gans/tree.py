"""Games whose generators are the branches of one tree, which one player moves: StackGAN++, say."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import torch
from torch import Tensor, nn
from typing_extensions import override

from lit_gans.game import Batch, Player
from lit_gans.games import Games
from lit_gans.gan import GAN

GENERATOR = "generator"


class Branch(GAN):
    """A game whose generator makes a map and samples ``(hidden, sample)`` of what comes before it, and of c.

    Of a batch it sees ``before`` and ``c``, besides the samples ``fake`` that the tree has made of these.
    """

    def grow(self, before: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The map, from which the next branch goes on, and the samples."""
        hidden, sample = self.play("generator", before, c)
        return hidden, sample

    @override
    def generate(self, batch: Batch) -> Tensor:
        past = "generator" in self.stand_ins  # on the present map
        return self.grow(batch["before"], batch["c"])[1] if past else batch["fake"]


class Tree(Games):
    """Each game has a discriminator of its own; one generator plays in all, and minimises the sum of their objectives.

    A round is that of :class:`lit_gans.GAN`: turns of all discriminators, then one of the generator, whose options are
    those of the last game's. What the tree makes of a batch is made once, for all players. The games are of
    :class:`Branch`; their ``game_batch`` has :meth:`branch_batch` in it.
    """

    def trunk(self) -> tuple[nn.Module, ...]:
        """Networks that the generator moves besides the branches, which are the games' own generators."""
        return ()

    def root(self, batch: Batch) -> Batch:
        """What the tree makes of a batch before its first branch: ``before`` and ``c``, and more for the games."""
        raise NotImplementedError(f"{type(self).__name__} must define root.")

    def tree_terms(self, batch: Batch) -> dict[str, Tensor]:
        """What the generator minimises besides the games' objectives, by name."""
        return {}

    def growth(self, before: Tensor, c: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Of each branch its name, what comes before it, and its samples."""
        for name in self.names:
            branch = self.named(name)
            assert isinstance(branch, Branch)
            hidden, sample = branch.grow(before, c)
            yield name, before, sample
            before = hidden

    def grown(self, batch: Batch) -> Batch:
        """The batch with what the tree makes of it, if it has not got that already."""
        if "c" in batch:
            return batch
        made = self.root(batch)
        for name, before, sample in self.growth(made["before"], made["c"]):
            made |= {f"{name}/before": before, f"{name}/fake": sample}
        return {**batch, **made}

    def branch_batch(self, name: str, batch: Batch) -> Batch:
        """What a branch sees of a batch that is grown."""
        return {"c": batch["c"], "before": batch[f"{name}/before"], "fake": batch[f"{name}/fake"]}

    @override
    def players(self) -> list[Player]:
        games = {name: {player.name: player for player in self.named(name).players()} for name in self.names}
        networks = *self.trunk(), *(self.named(name).generator for name in self.names)
        generator = replace(games[self.names[-1]][GENERATOR], networks=networks, objective=self.generator_objective)
        named = [replace(own["discriminator"], name=f"{name}/discriminator") for name, own in games.items()]
        return [*named, generator]

    def generator_objective(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of all games, and those of the tree."""
        batch = self.grown(batch)
        terms: dict[str, Tensor] = {}
        for name in self.names:
            found = self.named(name).generator_objective(self.game_batch(name, batch))
            terms |= {f"{name}/{term}": value for term, value in found.items()}
        return terms | self.tree_terms(batch)

    # The turns

    @override
    def shared(self, batch: Batch) -> Batch:
        return self.grown(batch)

    @override
    def play_batch(self, batch: Batch, *, counts: bool) -> dict[str, Tensor]:
        return super(Games, self).play_batch(batch, counts=counts)

    @override
    def take_turn(self, index: int, batch: Batch, size: int, *, last: bool, counts: bool) -> dict[str, Tensor]:
        if index == len(self.names):
            with ExitStack() as turns:
                for name in self.names:
                    turns.enter_context(self.named(name).in_turn(GENERATOR, batch))
                terms = super().take_turn(index, batch, size, last=last, counts=counts)
            for name in self.names:
                self.named(name).turns_taken[GENERATOR] += 1
            return terms
        name = self.names[index]
        game = self.named(name)
        if "c" not in batch:
            self.seed_turn(f"{name}/tree", game.turns_taken["discriminator"])
            with torch.no_grad():
                batch = self.grown(batch)
        terms = game.take_turn(0, self.game_batch(name, batch), size, last=last, counts=False)
        return {f"{name}/{term}": value for term, value in terms.items()}

    @override
    def schedules(self) -> list[object]:
        return super(Games, self).schedules()

    # Lightning

    @override
    def setup(self, stage: str) -> None:
        super().setup(stage)
        for place, name in enumerate(self.names):
            self.named(name).first_optimizer = place
