"""An architecture that looks at its values, which cannot be done for many networks at once."""

from grokking_pl.models import ToyModel


class Uncountable(ToyModel):
    def forward(self, pairs):
        if self.embeddings.detach().sum().item() > 1e9:
            return self.decoder(self.embeddings)
        return super().forward(pairs)
