"""Models of the field, each in a short file that reads like its paper, and with the layers' names that its published weights have.

from nn.models import resnet18
model = resnet18()
model.load_state_dict(torch_state)  # torchvision's, by name
"""

from nn.models.alexnet import AlexNet, alexnet
from nn.models.autoencoder import Autoencoder
from nn.models.char_rnn import CharRNN
from nn.models.deep_q_network import CartPole, DeepQNetwork, ReplayMemory
from nn.models.deep_speech import DeepSpeech, spectrogram, tones
from nn.models.densenet import DenseNet, densenet121, densenet161, densenet169, densenet201
from nn.models.gan import GAN
from nn.models.googlenet import GoogLeNet, GoogLeNetOutputs, googlenet
from nn.models.gpt import GPT
from nn.models.lenet import LeNet
from nn.models.mlp import MLP
from nn.models.resnet import BasicBlock, Bottleneck, ResNet, resnet18, resnet34, resnet50, resnet101, resnet152, small_resnet
from nn.models.senet import SEBasicBlock, SEBottleneck, se_resnet18, se_resnet34, se_resnet50
from nn.models.sequence_classifiers import GRUClassifier, LSTMClassifier
from nn.models.transformer import Seq2SeqTransformer
from nn.models.unet import UNet
from nn.models.variational_autoencoder import VAEOutput, VariationalAutoencoder
from nn.models.vgg import VGG, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn

__all__ = [
    "GAN",
    "GPT",
    "MLP",
    "VGG",
    "AlexNet",
    "Autoencoder",
    "BasicBlock",
    "Bottleneck",
    "CartPole",
    "CharRNN",
    "DeepQNetwork",
    "DeepSpeech",
    "DenseNet",
    "GRUClassifier",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "LSTMClassifier",
    "LeNet",
    "ReplayMemory",
    "ResNet",
    "SEBasicBlock",
    "SEBottleneck",
    "Seq2SeqTransformer",
    "UNet",
    "VAEOutput",
    "VariationalAutoencoder",
    "alexnet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "googlenet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "se_resnet18",
    "se_resnet34",
    "se_resnet50",
    "small_resnet",
    "spectrogram",
    "tones",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]
